"""Ends of an axis that a few far values do not squeeze."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def robust_ends(values: npt.NDArray[Any], margin: float) -> tuple[float, float]:
    """Ends that hold all values, but for those far from the middle 90 %.

    Parameters
    ----------
    values : ndarray, shape (n,)
        At least one; finite.
    margin : float
        How far beyond the middle 90 % the axis may reach, in its width.

    Returns
    -------
    tuple of float
        The lower end is smaller than the upper one.

    >>> robust_ends(np.array([*range(100), 10_000]), 0.5)
    (0.0, 140.0)
    """
    low, high = float(values.min()), float(values.max())
    first, last = (float(end) for end in np.percentile(values, [5, 95]))
    reach = margin * (last - first)
    if reach > 0:
        low, high = max(low, first - reach), min(high, last + reach)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
