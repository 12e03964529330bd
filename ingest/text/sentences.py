"""Splits a generated description into sentences that join back to it exactly."""

from __future__ import annotations

import re

# A full stop ends a sentence only where one space and a capital letter follow: decimals
# ("2.05 Å"), space groups ("P2_1/c") and ordinals hold no such place.
_BOUNDARY = re.compile(r"(?<=\.) (?=[A-Z])")


def split_sentences(text: str) -> list[str]:
    """The sentences of a description; ``" ".join(split_sentences(text)) == text``."""
    return _BOUNDARY.split(text)
