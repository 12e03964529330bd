"""This machine: its worker processes, its processors and its name."""
