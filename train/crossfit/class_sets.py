"""Sets of classes by CV+: every material calibrates, by the model that did not learn from it.

CV+ for classes (Romano, Sesia and Candès, NeurIPS 2020, arXiv:2006.02544, section 2.3), calibrated
class by class as in `train.predictors.classes.sets`: let m_k be the model that was trained without
fold k, s_k(x, c) one less the probability that it gives class c at x, and E_i = s_k(i)(i, c_i) that
of the true class c_i of material i of fold k(i). Class c is in the set of level p of a new material
x unless E_i < s_k(i)(x, c) for ⌈p (n + 1)⌉ or more of the n materials that calibrate c.

If materials are exchangeable, it holds the true class with a probability of 2 p - 1 at least, less
a term that vanishes with many folds or few (as they show); on data it is near p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from train.forecasts.calibration import FEWEST_ROWS, UNCALIBRATED
from train.predictors.classes.sets import calibrating_rows, class_thresholds, rank_of, sets_of
from train.predictors.uncertainty import FEWEST_ROWS as FEWEST_OF_LEVELS
from train.predictors.uncertainty import LEVELS, STORED_LEVEL

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def cv_plus_sets(
    of_folds: Floats, errors: Floats, targets: Integers, fold_of: Integers, level: float
) -> Bools | None:
    """Which classes are in the set of each new material, shape (m, classes).

    Parameters
    ----------
    of_folds : ndarray, shape (m, folds, classes), float64
        The probabilities that each fold's model, which did not learn from that fold, gives them.
    errors : ndarray, shape (n,), float64
        Of the n known materials one less the true class's probability, out of fold.
    targets, fold_of : ndarray, shape (n,), int64
        The place of the true class, and the fold, of each of them.
    level : float
        Nominal coverage.

    Returns
    -------
    ndarray, or None
        None where n is too small for any class to be left out.
    """
    m, folds, n_classes = of_folds.shape
    inside = np.zeros((m, n_classes), bool)
    if rank_of(len(errors), level) > len(errors):
        return None
    for place, rows in enumerate(calibrating_rows(targets, n_classes)):
        surpassed = np.zeros(m, np.int64)
        for fold in range(folds):
            of_fold = np.sort(errors[rows & (fold_of == fold)])
            surpassed += np.searchsorted(of_fold, 1 - of_folds[:, fold, place], side="left")
        inside[:, place] = surpassed < rank_of(int(rows.sum()), level)
    return inside


def out_of_fold_sets(
    probabilities: Floats, targets: Integers, fold_of: Integers
) -> Mapping[float, Bools] | None:
    """What the errors of the other folds say of each known material's own classes.

    Its own error has no part in it, so that the share of materials whose class is in its set tells
    the coverage.

    Parameters
    ----------
    probabilities : ndarray, shape (n, classes), float64
        Out of fold.
    targets, fold_of : ndarray, shape (n,), int64
        The place of the true class, and the fold, of each.

    Returns
    -------
    mapping of float to ndarray, shape (n, classes), bool, or None
        By level; None where the other folds of some material have too few errors for the largest.
    """
    found = {level: np.zeros(probabilities.shape, bool) for level in LEVELS}
    for fold in np.unique(fold_of):
        own = fold_of == fold
        if (~own).sum() < FEWEST_OF_LEVELS:
            return None
        for level, inside in found.items():
            thresholds = class_thresholds(probabilities[~own], targets[~own], level)
            inside[own] = sets_of(probabilities[own], thresholds)
    return found


@dataclass(frozen=True, eq=False)
class ClassCrossCalibration:
    """What every material's out-of-fold probabilities say of new ones.

    Parameters
    ----------
    folds : int
        How many models there are, each of which did not learn from one fold.
    fold_of, targets : ndarray, shape (n,), int64
        The fold of each material, and the place of its class.
    errors : ndarray, shape (n,), float64
        One less the probability of that class, out of fold.
    """

    folds: int
    fold_of: Integers = field(repr=False)
    targets: Integers = field(repr=False)
    errors: Floats = field(repr=False)

    @classmethod
    def of(
        cls, folds: int, fold_of: Integers, probabilities: Floats, targets: Integers
    ) -> ClassCrossCalibration:
        """The calibration by out-of-fold probabilities, shape (n, classes)."""
        errors = 1 - probabilities[np.arange(len(targets)), targets]
        return cls(folds, fold_of, targets, errors)

    @property
    def said(self) -> str:
        """How sets come about, in a few words."""
        n = len(self.errors)
        if n < FEWEST_ROWS:
            return f"{UNCALIBRATED}: {n} out-of-fold probabilities, {FEWEST_ROWS} needed"
        return f"sets that hold 90 %, by CV+ over {self.folds} folds of {n:,} materials"

    def sets(self, of_folds: Floats, probabilities: Floats) -> Bools | None:
        """Which classes are in each set, shape (m, classes), the most probable one always.

        Parameters
        ----------
        of_folds : ndarray, shape (m, folds, classes), float64
            Probabilities by the folds' models.
        probabilities : ndarray, shape (m, classes), float64
            By the model of all rows.
        """
        found = cv_plus_sets(of_folds, self.errors, self.targets, self.fold_of, STORED_LEVEL)
        if found is not None and len(found):
            found[np.arange(len(found)), probabilities.argmax(axis=1)] = True
        return found
