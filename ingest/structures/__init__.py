"""Readers of structures and properties, checks and symmetry."""
