"""Encoders that turn structures and texts into vectors."""
