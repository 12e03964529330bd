"""Encoders of a joint space of structures and texts, which `train align` makes."""
