"""Predicts one number for every material: the mean or the median of the training targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, Fitted, OnVectors

_STATISTICS: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median}


@dataclass(frozen=True)
class ConstantPredictor(OnVectors):
    """A number; it takes features of the width it was fitted with and does not look at them."""

    value: float
    n_features: int

    @classmethod
    def from_bytes(cls, settings: Mapping[str, Any], weights: bytes) -> ConstantPredictor:
        """Restore a predictor from its safetensors bytes."""
        arrays = load_arrays(weights)
        return cls(float(arrays["value"][0]), int(arrays["n_features"][0]))

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The value for each row, float64 of shape (n,)."""
        return np.full(len(features), self.value)

    def to_bytes(self) -> bytes:
        """The value and the width, in the safetensors format."""
        arrays = {"value": np.array([self.value]), "n_features": np.array([self.n_features])}
        return bytes(save_arrays(arrays))


@dataclass(frozen=True)
class Constant(OnVectors):
    """The recipe that learns a statistic of the training targets and nothing of the features.

    The median is the constant with the least mean absolute error, the mean that with the least
    squared error.

    Parameters
    ----------
    name : {"mean", "median"}
        The statistic, and the recipe's name.
    """

    name: str
    max_epochs: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """None: the name says all."""
        return {}

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Take the statistic of the training targets; the seed changes nothing."""
        value = float(_STATISTICS[self.name](train.targets))
        predictor = ConstantPredictor(value, train.features.shape[1])
        errors = (float(np.abs(rows.targets - value).mean()) for rows in (train, val))
        progress.update()
        return Fitted(predictor=predictor, history=[Epoch(1, *errors)], best_epoch=1)
