"""Errors of predictions on one fold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def regression_metrics(
    targets: npt.NDArray[np.float64], predictions: npt.NDArray[np.float64]
) -> dict[str, int | float | None]:
    """Number of rows, mean absolute error, root mean squared error and R².

    Parameters
    ----------
    targets, predictions : ndarray, shape (n,), float64
        In the same unit.

    Returns
    -------
    dict
        ``n``, ``mae``, ``rmse`` (in that unit) and ``r2``; None where it is not defined: all
        three without rows, ``r2`` also where the targets do not vary.
    """
    n = len(targets)
    if n == 0:
        return {"n": 0, "mae": None, "rmse": None, "r2": None}
    errors = predictions - targets
    spread = float(np.sum((targets - targets.mean()) ** 2))
    return {
        "n": n,
        "mae": float(np.mean(np.abs(errors))),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "r2": 1.0 - float(np.sum(errors**2)) / spread if spread > 0 else None,
    }
