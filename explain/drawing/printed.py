"""Numbers as people read them."""

from __future__ import annotations

import math

from train.display.rounding import spread_of_seeds

# Smaller numbers have an exponent.
_MOST_DECIMALS = 7


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits and a true minus sign; a dash for none.

    >>> number(-0.012345), number(None), number(1234.5)
    ('−0.0123', '–', '1230')
    >>> number(4.35e-11)
    '4.35e−11'
    """
    if value is None or math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    if decimals > _MOST_DECIMALS:
        mantissa, exponent = f"{rounded:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return f"{rounded:.{decimals}f}".replace("-", "−")


def over_seeds(std: float | None, value: float) -> str:
    """A standard deviation over seeds of a value; "deterministic" where it is but rounding.

    >>> over_seeds(3.8e-10, 0.393), over_seeds(0.0123, 0.393), over_seeds(None, 0.393)
    ('deterministic', '0.012', '–')
    """
    said = spread_of_seeds(value, std)
    return said if said == "deterministic" else number(std, 2)


def after_value(std: float, value: float) -> str:
    """What follows a value in words about its spread over seeds.

    >>> after_value(3.8e-10, 0.393), after_value(0.0123, 0.393)
    (', deterministic', ' ± 0.012')
    """
    said = over_seeds(std, value)
    return f", {said}" if said == "deterministic" else f" ± {said}"


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
