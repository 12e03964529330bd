"""The colours of contributions: orange raises a prediction, blue lowers it, white does nothing.

Orange and blue of Okabe and Ito's palette can be told apart by colour-blind readers; the tints stay
light enough for black letters (contrast above 4.5, WCAG 2.2). The direction is not told by colour
alone: words are underlined, those that raise by a line, those that lower by dots.
"""

from __future__ import annotations

import math

RAISES, LOWERS = (213, 94, 0), (0, 114, 178)

#: Below this share of the largest contribution a word is not marked.
LEAST = 0.05

_STRONGEST = 0.7


def tint(level: float) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, for a level from -1 (lowers most) to 1 (raises most).

    NaN, for what was not measured, is white.

    >>> tint(0.0), tint(1.0)
    ((255, 255, 255), (226, 142, 76))
    """
    if math.isnan(level):
        return (255, 255, 255)
    share = _STRONGEST * min(abs(level), 1.0)
    of = RAISES if level > 0 else LOWERS
    red, green, blue = (round(255 + share * (part - 255)) for part in of)
    return red, green, blue


def translucent(level: float) -> str:
    """The same on white as ``#rrggbbaa``, and on a dark page dark enough for light letters.

    >>> translucent(0.5)
    '#d55e0059'
    """
    share = 0.0 if math.isnan(level) else _STRONGEST * min(abs(level), 1.0)
    red, green, blue = RAISES if level > 0 else LOWERS
    return f"#{red:02x}{green:02x}{blue:02x}{round(255 * share):02x}"


def direction(level: float) -> str:
    """The word "raises" or "lowers"; nothing for what is too weak or not measured."""
    if math.isnan(level) or abs(level) < LEAST:
        return ""
    return "raises" if level > 0 else "lowers"
