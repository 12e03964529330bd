"""Intervals by CV+: every material calibrates, by the model that did not learn from it.

CV+ (Barber, Candès, Ramdas and Tibshirani, Ann. Stat. 2021, 49, 486; with as many folds as
materials it is their jackknife+): let m_k be the model that was trained without fold k, and R_i the
error of m_k(i) for material i of fold k(i). The interval of level p for a new material x runs from
the ⌊(1 - p)(n + 1)⌋-th smallest of m_k(i)(x) - R_i to the ⌈p (n + 1)⌉-th smallest of m_k(i)(x) +
R_i. Unlike the quantile of the errors around one model it takes in how much the models differ at x.
Errors may count in units of a scale s, R_i = |r_i| / s_i, the ends being m_k(i)(x) ± R_i s(x).

If materials are exchangeable, it holds the target with a probability of 2 p - 1 at least, less a
term that vanishes with many folds or few (their theorem 4); on data it is near p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from train.forecasts.calibration import FEWEST_ROWS, UNCALIBRATED, Bounds, Calibration, scaled
from train.predictors.uncertainty import LEVELS, STORED_LEVEL, Uncertainty

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ROWS_AT_ONCE = 4096


def cv_plus(
    of_folds: Floats, scales: Floats, errors: Floats, fold_of: Integers, level: float = STORED_LEVEL
) -> tuple[Floats, Floats] | None:
    """Lower and upper ends of the intervals of new materials, each of shape (m,).

    Parameters
    ----------
    of_folds : ndarray, shape (m, folds), float64
        What each fold's model, which did not learn from that fold, predicts for them.
    scales : ndarray, shape (m,), float64
        What their errors are measured by; ones where all are alike.
    errors : ndarray, shape (n,), float64
        Of the n known materials the absolute out-of-fold error in units of its scale.
    fold_of : ndarray, shape (n,), int64
        The fold of each of them.
    level : float
        Nominal coverage.

    Returns
    -------
    tuple of ndarray, or None
        None where n is too small for the interval to have finite ends.
    """
    n = len(errors)
    rank = math.ceil(level * (n + 1) - 1e-9)
    if rank > n:
        return None
    lower, upper = np.empty(len(of_folds)), np.empty(len(of_folds))
    for first in range(0, len(of_folds), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        centres, widths = of_folds[rows][:, fold_of], scales[rows, None] * errors
        # ⌊(1 - level)(n + 1)⌋ from below is the same place as the upper rank from above
        lower[rows] = np.partition(centres - widths, n - rank, axis=1)[:, n - rank]
        upper[rows] = np.partition(centres + widths, rank - 1, axis=1)[:, rank - 1]
    return lower, upper


def out_of_fold_uncertainty(residuals: Floats, fold_of: Integers) -> Uncertainty | None:
    """What the errors of the other folds say of each known material's own prediction.

    Its own error has no part in it, so that the share of materials whose error is within tells the
    coverage of intervals around out-of-fold predictions.

    Parameters
    ----------
    residuals : ndarray, shape (n,), float64
        Out-of-fold prediction less target.
    fold_of : ndarray, shape (n,), int64
        The fold of each.

    Returns
    -------
    Uncertainty or None
        None where the other folds of some material have too few errors for the widest interval.
    """
    std = np.empty(len(residuals))
    widths = {level: np.empty(len(residuals)) for level in LEVELS}
    for fold in np.unique(fold_of):
        own = fold_of == fold
        others = np.sort(np.abs(residuals[~own]))
        ranks = {level: math.ceil((len(others) + 1) * level - 1e-9) for level in LEVELS}
        if max(ranks.values()) > len(others):
            return None
        std[own] = np.sqrt(np.mean(others**2))
        for level, rank in ranks.items():
            widths[level][own] = others[rank - 1]
    return Uncertainty(std, widths)


@dataclass(frozen=True, eq=False)
class CrossCalibration:
    """What every material's out-of-fold error says of new ones.

    Parameters
    ----------
    folds : int
        How many models there are, each of which did not learn from one fold.
    fold_of : ndarray, shape (n,), int64
        The fold of each material.
    errors : ndarray, shape (n,), float64
        The absolute out-of-fold error in units of the scale, which is the distance raised to the
        power of the `Calibration` by the same errors.
    """

    folds: int
    fold_of: Integers = field(repr=False)
    errors: Floats = field(repr=False)

    @classmethod
    def of(
        cls, folds: int, fold_of: Integers, residuals: Floats, ratios: Floats | None, power: float
    ) -> CrossCalibration:
        """The calibration by out-of-fold residuals, shape (n,), at these distances.

        Parameters
        ----------
        ratios : ndarray, shape (n,), float64, or None
            Distances of the materials to each other, see `train.forecasts.domain`.
        power : float
            Of the distance.
        """
        scales = scaled(np.ones(len(residuals)), ratios, power)
        return cls(folds, fold_of, np.abs(residuals) / scales)

    def bounds(self, of_folds: Floats, ratios: Floats | None, calibration: Calibration) -> Bounds:
        """What is said of the errors of new materials.

        Parameters
        ----------
        of_folds : ndarray, shape (m, folds), float64
            What the folds' models predict for them.
        ratios : ndarray, shape (m,), float64, or None
            Their distances.
        calibration : Calibration
            By the same out-of-fold errors, for the standard deviation.
        """
        n = len(self.errors)
        scales = scaled(np.ones(len(of_folds)), ratios, calibration.power)
        std = calibration.std_factor * scales if n else None
        ends = cv_plus(of_folds, scales, self.errors, self.fold_of)
        if ends is None:
            said = f"{UNCALIBRATED}: {n} out-of-fold errors, {FEWEST_ROWS} needed"
            return Bounds(std, None, said)
        said = f"90 % by CV+ over {self.folds} folds of {n:,} materials"
        if calibration.power:
            said += f", wider with distance^{calibration.power:.2f}"
        return Bounds(std, None, said, ends)
