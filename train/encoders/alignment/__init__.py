"""A joint space of structures and texts, learned from stored vectors."""
