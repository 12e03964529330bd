"""Comprehensiveness: how much worse a predictor gets when a part of its input is erased.

The measure of DeYoung et al., ERASER, ACL 2020, for a regression as in Li et al., Digital Discovery
2025, 4, 376: the error without the part minus the error with it, the predictor as it is. What is
erased, and what it means to erase it, is the caller's business: the method sees feature rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError

#: Maps features, float32 of shape (n, width), to predictions, float64 of shape (n,).
Forward = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Erasure:
    """Predictions for the same rows with and without one part of their input.

    Parameters
    ----------
    targets, predictions, erased_predictions : ndarray, shape (n,), float64
        In the same unit.
    """

    targets: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.float64]
    erased_predictions: npt.NDArray[np.float64]

    @property
    def mae(self) -> float:
        """Mean absolute error with the full input."""
        return float(np.mean(np.abs(self.predictions - self.targets)))

    @property
    def erased_mae(self) -> float:
        """Mean absolute error with the part erased."""
        return float(np.mean(np.abs(self.erased_predictions - self.targets)))

    @property
    def comprehensiveness(self) -> float:
        """How much the mean absolute error grows by the erasure; negative where it falls."""
        return self.erased_mae - self.mae


class Comprehensiveness:
    """Erases one part after the other and compares the errors.

    Parameters
    ----------
    forward : callable
        The predictor: features, float32 of shape (n, width), to predictions, float64 of (n,).

    Examples
    --------
    >>> method = Comprehensiveness(lambda features: features.sum(axis=1).astype(float))
    >>> features = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    >>> erased = {"second": features * np.array([1, 0], dtype=np.float32)}
    >>> method.attribute(features, np.array([3.0, 7.0]), erased)["second"].comprehensiveness
    3.0
    """

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    def attribute(
        self,
        features: npt.NDArray[np.float32],
        targets: npt.NDArray[np.float64],
        erased: Mapping[str, npt.NDArray[np.float32]],
    ) -> dict[str, Erasure]:
        """The effect of each erasure.

        Parameters
        ----------
        features : ndarray, shape (n, width), float32
            With the full input.
        targets : ndarray, shape (n,), float64
            What should be predicted.
        erased : mapping of str to ndarray, shape (n, width), float32
            The features of the same rows, by the name of what was erased.

        Raises
        ------
        InvalidInputError
            If there are no rows, or the shapes differ.
        """
        if not len(features):
            raise InvalidInputError("there are no rows whose parts could be erased")
        if len(targets) != len(features):
            raise InvalidInputError(f"{len(targets)} targets for {len(features)} rows of features")
        for name, other in erased.items():
            if other.shape != features.shape:
                raise InvalidInputError(
                    f"without {name!r} the features have shape {other.shape}, with it "
                    f"{features.shape}: they are not the same rows"
                )
        predictions = self._forward(features)
        return {
            name: Erasure(targets, predictions, self._forward(other))
            for name, other in erased.items()
        }
