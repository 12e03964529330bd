"""The constant: how frequent each class is among the training materials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples
from train.predictors.classes.classifier import Arrays, Floats, Learned
from train.predictors.classes.probabilities import true_class_error


@dataclass(frozen=True)
class SameForAll:
    """The same probabilities for each row.

    Parameters
    ----------
    shares : ndarray, shape (seen,), float64
    n_features : int
        Width of the features, which it does not look at.
    """

    shares: Floats
    n_features: int

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """The shares, shape (n, seen)."""
        return np.tile(self.shares, (len(features), 1))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The shares and the width."""
        return {"shares": self.shares, "n_features": np.array([self.n_features])}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> SameForAll:
        """Restore what `to_arrays` gave."""
        return cls(arrays["shares"], int(arrays["n_features"][0]))


@dataclass(frozen=True)
class Frequencies:
    """Learns the share of each class, and nothing of the features."""

    name: ClassVar[str] = "frequencies"
    max_epochs: ClassVar[int] = 1

    @property
    def settings(self) -> dict[str, Any]:
        """None: the name says all."""
        return {}

    def learn(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Learned:
        """Count; the seed changes nothing."""
        counts = np.bincount(train.targets.astype(np.int64), minlength=train.n_classes)
        scorer = SameForAll(counts / counts.sum(), train.features.shape[1])
        errors = (
            true_class_error(scorer.probabilities(rows.features), rows.targets.astype(np.int64))
            for rows in (train, val)
        )
        progress.update()
        return Learned(scorer, scorer, [Epoch(1, *errors)], 1)
