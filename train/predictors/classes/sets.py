"""Sets of classes that hold the true one with a given probability, by validation rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.predictors.uncertainty import FEWEST_ROWS, LEVELS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassSets:
    """Thresholds on one less the probability of a class, for each class.

    Split conformal classification with the least ambiguous sets (Sadinle, Lei and Wasserman, J. Am.
    Stat. Assoc. 2019, 114, 223), calibrated class by class (label-conditional or Mondrian: Vovk,
    Mach. Learn. 2013, 92, 349): with s = 1 - p(true class) of the n validation rows of a class, it
    is in the set of level p if its 1 - probability is at most the ⌈(n + 1) p⌉-th smallest s. If
    test materials come from where the validation materials come from, sets hold the true class with
    a probability of at least p, for each class that has `FEWEST_ROWS` validation rows; the others
    are calibrated together, on average over these, or by all rows where they have not as many
    together. The most probable class is always in, so that no set is empty, which makes coverage
    larger only. Where the validation rows have also chosen a temperature or a blend, sets are
    slightly small.

    Parameters
    ----------
    thresholds : ndarray, shape (levels, classes), float64
        In the order of `LEVELS`.
    """

    thresholds: Floats

    @classmethod
    def of(cls, probabilities: Floats, targets: Ints) -> ClassSets | None:
        """The thresholds by validation rows; None where they are too few (19 are enough).

        Parameters
        ----------
        probabilities : ndarray, shape (n, classes), float64
            Of a predictor that did not learn from these rows.
        targets : ndarray, shape (n,), int64
            Their true classes.
        """
        if len(targets) < FEWEST_ROWS:
            return None
        return cls(np.stack([class_thresholds(probabilities, targets, one) for one in LEVELS]))

    def __call__(self, probabilities: Floats, level: float) -> npt.NDArray[np.bool_]:
        """Which classes are in the set of each row, shape (n, classes)."""
        return sets_of(probabilities, self.thresholds[LEVELS.index(level)])


def class_thresholds(probabilities: Floats, targets: Ints, level: float) -> Floats:
    """The threshold of each class by validation rows, shape (classes,); see `ClassSets`.

    Raises
    ------
    ValueError
        If the rows are too few for the level.
    """
    own = 1 - probabilities[np.arange(len(targets)), targets]
    rows_of = calibrating_rows(targets, probabilities.shape[1])
    return np.array([_rank(own[rows], level) for rows in rows_of])


def calibrating_rows(targets: Ints, n_classes: int) -> list[npt.NDArray[np.bool_]]:
    """The rows by which each class is calibrated, each of shape (n,); see `ClassSets`."""
    few = np.bincount(targets, minlength=n_classes) < FEWEST_ROWS
    shared = few[targets]
    if shared.sum() < FEWEST_ROWS:
        shared = np.ones(len(targets), bool)
    return [shared if few[k] else targets == k for k in range(n_classes)]


def rank_of(n: int, level: float) -> int:
    """Which of n ordered scores is the threshold of a level, from 1; more than n: none is."""
    return math.ceil((n + 1) * level - 1e-9)


def sets_of(probabilities: Floats, thresholds: Floats) -> npt.NDArray[np.bool_]:
    """Which classes are in the set of each row, shape (n, classes), by a threshold for each."""
    inside = 1 - probabilities <= thresholds
    if len(inside):
        inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
    return np.asarray(inside)


def _rank(scores: Floats, level: float) -> float:
    n = len(scores)
    rank = rank_of(n, level)
    if rank > n:
        raise ValueError(f"{n} rows cannot calibrate sets of the level {level}")
    return min(max(float(np.sort(scores)[rank - 1]), 0.0), 1.0)
