"""Similarity search: exact, by index, by words; where a space is read and what a hit is."""
