"""Numbers as people read them."""

from __future__ import annotations

import math


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits and a true minus sign; a dash for none.

    >>> number(-0.012345), number(None), number(1234.5)
    ('−0.0123', '–', '1230')
    """
    if value is None or math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    return f"{rounded:.{min(decimals, 10)}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """Like `number`, with a plus sign for what is above zero."""
    return ("+" if value is not None and value > 0 else "") + number(value, digits)


def fixed(value: float, decimals: int, sign: bool = False) -> str:
    """A number with so many decimals and a true minus sign, which zero never has.

    >>> fixed(-0.0001, 2), fixed(-1.5, 2)
    ('0.00', '−1.50')
    """
    value = round(value, decimals) + 0.0
    return f"{value:{'+' if sign else ''}.{decimals}f}".replace("-", "−")
