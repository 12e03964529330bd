"""The parts of a text that can be erased, and how."""

from __future__ import annotations

UNITS = ("word", "number", "sentence", "tag")
ERASURES = ("deletion", "mask")
