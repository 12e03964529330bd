"""Sets of classes that hold the true one with a given probability, by validation rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.predictors.uncertainty import FEWEST_ROWS, LEVELS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassSets:
    """Thresholds on one less the probability of a class.

    Split conformal classification with the least ambiguous sets (LAC; Sadinle, Lei and Wasserman,
    J. Am. Stat. Assoc. 2019, 114, 223): with s = 1 - p(true class) of n validation rows, the set of
    level p holds every class whose 1 - probability is at most the ⌈(n + 1) p⌉-th smallest s. If
    test materials come from where the validation materials come from, it holds the true class with
    a probability of at least p; on average over classes, not for each. The most probable class is
    always in, so that no set is empty, which makes coverage larger only. Where the validation rows
    have also chosen a temperature or a blend, sets are slightly small.

    Parameters
    ----------
    thresholds : tuple of float
        In the order of `LEVELS`.
    """

    thresholds: tuple[float, ...]

    @classmethod
    def of(cls, probabilities: Floats, targets: npt.NDArray[np.int64]) -> ClassSets | None:
        """The thresholds by validation rows; None where they are too few (19 are enough).

        Parameters
        ----------
        probabilities : ndarray, shape (n, classes), float64
            Of a predictor that did not learn from these rows.
        targets : ndarray, shape (n,), int64
            Their true classes.
        """
        n = len(targets)
        if n < FEWEST_ROWS:
            return None
        ordered = np.sort(1 - probabilities[np.arange(n), targets])
        ranks = [math.ceil((n + 1) * level - 1e-9) for level in LEVELS]
        return cls(tuple(float(ordered[rank - 1]) for rank in ranks))

    def __call__(self, probabilities: Floats, level: float) -> npt.NDArray[np.bool_]:
        """Which classes are in the set of each row, shape (n, classes)."""
        threshold = self.thresholds[LEVELS.index(level)]
        inside = 1 - probabilities <= threshold
        if len(inside):
            inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
        return np.asarray(inside)
