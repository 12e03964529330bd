"""Targets in tables that people keep: files of rows in, numbers with a property and a unit out."""
