"""Numbers as people read them: to the digits that their error leaves, and no spread of rounding."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

#: Spreads below this share of the numbers' size are rounding of the arithmetic.
_ROUNDING = 1e-6
_DIGITS_WITHOUT_ERROR = 4


def rounded(value: float | None, error: float | None) -> str:
    """A number to the second digit of its error; to four digits where no error is known.

    >>> rounded(1.23456, 0.0321)
    '1.235'
    >>> rounded(12345.6, 321.0)
    '12350'
    >>> rounded(1.23456, None)
    '1.235'
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(value)
    if error is None or not math.isfinite(error) or error <= 0:
        return f"{value:.{_DIGITS_WITHOUT_ERROR}g}"
    places = 1 - math.floor(math.log10(error))
    shown = round(value, places) + 0.0  # no minus before a zero
    return f"{shown:.{max(places, 0)}f}"


def spread_of_seeds(value: float, std: float | None) -> str:
    """A standard deviation over seeds as people read it; empty for a single seed.

    >>> spread_of_seeds(0.393, 3.8e-10)
    'deterministic'
    """
    if std is None:
        return ""
    return "deterministic" if std <= _ROUNDING * abs(value) else f"{std:.2g}"


def deterministic(of_seeds: npt.NDArray[np.float64]) -> bool:
    """Whether numbers of several seeds, shape (n, seeds), differ by rounding alone."""
    if not of_seeds.size:
        return True
    size = max(float(np.abs(of_seeds).max()), np.finfo(np.float64).tiny)
    return bool(np.ptp(of_seeds, axis=1).max() <= _ROUNDING * size)
