"""A model that learned from all rows, with the models of a cross-validation beside it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.store import FeatureStore
from featurestore.views.view import TrainingView
from train.predictors.base import ClassPredictor, Predictor

FORMAT = "cross-fitted 1"
_MOST_FOLDS = 10_000


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Predicts by the model of all rows; the others say how far off that may be.

    Parameters
    ----------
    whole : Predictor
        Learned from all rows.
    of_fold : tuple of Predictor
        The k-th did not learn from fold k.
    fold_of : dict of str to int
        The fold of each material.
    """

    whole: Predictor
    of_fold: tuple[Predictor, ...] = field(repr=False)
    fold_of: Mapping[str, int] = field(repr=False)

    @property
    def n_features(self) -> int:
        """Width of the features it takes; 0 if it takes other inputs than vectors."""
        return self.whole.n_features

    def inputs(self, store: FeatureStore, view: TrainingView) -> npt.NDArray[Any]:
        """What it predicts by: an entry for each of the view's rows, shape (n, …)."""
        return self.whole.inputs(store, view)

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), of the model of all rows."""
        return self.whole.predict(features)

    def say_of_folds(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What the models of the cross-validation say: predictions, float64 of (n, folds)."""
        return np.stack([one.predict(features) for one in self.of_fold], axis=1)

    def to_bytes(self) -> bytes:
        """All models' bytes, in the safetensors format."""
        parts = {"whole": self.whole.to_bytes()}
        parts |= {f"fold.{k}": one.to_bytes() for k, one in enumerate(self.of_fold)}
        arrays = {name: np.frombuffer(data, np.uint8) for name, data in parts.items()}
        folds = json.dumps(dict(self.fold_of), ensure_ascii=False, sort_keys=True)
        return bytes(save_arrays(arrays, {"format": FORMAT, "fold_of": folds}))

    @classmethod
    def from_bytes(cls, weights: bytes, restore: Callable[[bytes], Predictor]) -> CrossFitted:
        """Restore from `to_bytes`; ``restore`` makes one predictor of its bytes.

        Of models of classes it is a `CrossFittedOfClasses`.

        Raises
        ------
        ValueError, KeyError
            If the bytes are others.
        """
        arrays = load_arrays(weights)
        whole = arrays.pop("whole")
        names = [f"fold.{k}" for k in range(len(arrays))]
        if set(arrays) != set(names) or not 2 <= len(names) <= _MOST_FOLDS:
            raise ValueError("its parts are not the models of a cross-validation")
        fold_of = json.loads(_metadata(weights)["fold_of"])
        if not isinstance(fold_of, dict) or not all(
            type(fold) is int and 0 <= fold < len(names) for fold in fold_of.values()
        ):
            raise ValueError("a material is in no fold of the cross-validation")
        of_fold = tuple(restore(arrays[name].tobytes()) for name in names)
        return cross_fitted(restore(whole.tobytes()), of_fold, fold_of)


@dataclass(frozen=True, eq=False)
class CrossFittedOfClasses(CrossFitted):
    """The same of models of classes."""

    def probabilities(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Of each class, float64 of shape (n, classes), by the model of all rows."""
        return cast(ClassPredictor, self.whole).probabilities(features)

    def class_sets(
        self, probabilities: npt.NDArray[np.float64], level: float
    ) -> npt.NDArray[np.bool_] | None:
        """None: sets need what each fold's model says, see `train.crossfit.class_sets`."""
        return None

    def say_of_folds(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Probabilities, float64 of (n, folds, classes), of the cross-validation's models."""
        models = cast(tuple[ClassPredictor, ...], self.of_fold)
        return np.stack([one.probabilities(features) for one in models], axis=1)


def cross_fitted(
    whole: Predictor, of_fold: Sequence[Predictor], fold_of: Mapping[str, int]
) -> CrossFitted:
    """The model of all rows with those of the folds, of numbers or of classes."""
    kind = CrossFittedOfClasses if isinstance(whole, ClassPredictor) else CrossFitted
    return kind(whole, tuple(of_fold), fold_of)


def is_cross_fitted(weights: bytes) -> bool:
    """Whether a model's bytes are those of a `CrossFitted`."""
    return _metadata(weights).get("format") == FORMAT


def _metadata(weights: bytes) -> dict[str, Any]:
    """The metadata of safetensors bytes; nothing of bytes in another form."""
    if len(weights) < 8:
        return {}
    (size,) = struct.unpack("<Q", weights[:8])
    if size > len(weights) - 8:
        return {}
    try:
        found = json.loads(weights[8 : 8 + size].decode("utf-8"))["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
