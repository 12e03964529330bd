"""What a predictor is: a recipe that fits examples, and what it fits, restored from the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError
from featurestore.progress import Progress
from featurestore.store import FeatureStore
from featurestore.view_parameters import ViewParameters
from train.models import StoredModel, find_model, stored_weights
from train.trainer import Epoch
from train.uncertainty import Uncertainty


@dataclass(frozen=True)
class Examples:
    """Features, float32 of shape (n, width), and targets, float64 of shape (n,).

    A recipe may take other inputs than features: an array of n objects.

    ``segments`` are named slices of the features, as in `TrainingView`.
    """

    features: npt.NDArray[Any]
    targets: npt.NDArray[np.float64]
    segments: tuple[tuple[str, int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.targets)


class Predictor(Protocol):
    """A trained predictor."""

    @property
    def n_features(self) -> int:
        """Width of the features it takes."""
        ...

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), for features of shape (n, n_features)."""
        ...

    def to_bytes(self) -> bytes:
        """Everything learned, in the safetensors format."""
        ...


@runtime_checkable
class UncertainPredictor(Protocol):
    """A trained predictor that says how far off it may be."""

    def uncertainty(self, features: npt.NDArray[np.float32]) -> Uncertainty | None:
        """The error to expect of each prediction; None if it could not be calibrated."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A trained predictor with the history of its training.

    Parameters
    ----------
    predictor : Predictor
        With the weights of its best epoch.
    history : list of Epoch
        One record for each epoch.
    best_epoch : int
        The epoch whose weights were kept, from 1.
    details : mapping
        What the training chose by itself, as JSON values; it goes into the model's metrics.
    rehearsed : Predictor, optional
        Where the predictor learned from the validation rows, one that did not: what the store keeps
        of these rows are its predictions.
    """

    predictor: Predictor
    history: list[Epoch]
    best_epoch: int
    details: Mapping[str, Any] = field(default_factory=dict)
    rehearsed: Predictor | None = None


class Recipe(Protocol):
    """A way of training, with all its settings."""

    @property
    def name(self) -> str:
        """The name that the store and the command line use."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that can change the result, as JSON values; part of the model's id."""
        ...

    @property
    def max_epochs(self) -> int:
        """Most steps that progress is reported for."""
        ...

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Train; the same arguments give the same bytes on one machine's CPU."""
        ...


def _restore_mlp(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.mlp import MLPPredictor

    return MLPPredictor.from_bytes(settings, weights)


def _restore_ensemble(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.ensemble.predictor import EnsemblePredictor

    return EnsemblePredictor.from_bytes(settings, weights)


def _restore_trees(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.baselines.boosted_trees import Trees

    return Trees.from_bytes(settings, weights)


def _restore_constant(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.baselines.constant import ConstantPredictor

    return ConstantPredictor.from_bytes(settings, weights)


def _restore_alignn(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.graph.scratch import AlignnPredictor

    return AlignnPredictor.from_bytes(settings, weights)


_RESTORERS: dict[str, Callable[[Mapping[str, Any], bytes], Predictor]] = {
    "mlp": _restore_mlp,
    "ensemble": _restore_ensemble,
    "gbt": _restore_trees,
    "alignn": _restore_alignn,
    "mean": _restore_constant,
    "median": _restore_constant,
}


@dataclass(frozen=True)
class LoadedModel:
    """A stored model that can predict.

    Parameters
    ----------
    stored : StoredModel
        Its row, without the weights.
    predictor : Predictor
        Restored from the weights.
    """

    stored: StoredModel
    predictor: Predictor = field(repr=False)

    @property
    def model_id(self) -> str:
        """The model's id."""
        return self.stored.model_id

    @property
    def parameters(self) -> ViewParameters:
        """The training view it was trained on."""
        return self.stored.parameters

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predictions for a feature matrix.

        Parameters
        ----------
        features : ndarray, shape (n, width), float32
            Laid out as in the model's training view.

        Returns
        -------
        ndarray, shape (n,), float64
            In the unit of the property.

        Raises
        ------
        InvalidInputError
            If the features have another width than those the model was trained on.
        """
        self._check_width(features)
        return self.predictor.predict(features)

    def uncertainty(self, features: npt.NDArray[np.float32]) -> Uncertainty:
        """The error to expect of each prediction.

        Parameters
        ----------
        features : ndarray, shape (n, width), float32
            Laid out as in the model's training view.

        Raises
        ------
        InvalidInputError
            If the features have another width, or the model knows no uncertainty.
        """
        self._check_width(features)
        known = isinstance(self.predictor, UncertainPredictor)
        found = self.predictor.uncertainty(features) if known else None  # type: ignore[attr-defined]
        if found is None:
            raise InvalidInputError(
                f"model {self.model_id} ({self.stored.predictor}) has no uncertainty; train one "
                "that has, on enough validation rows, with: featurestore train ensemble"
            )
        return found

    def _check_width(self, features: npt.NDArray[np.float32]) -> None:
        width = features.shape[1]
        if width != self.predictor.n_features:
            raise InvalidInputError(
                f"model {self.model_id} takes {self.predictor.n_features} features, these rows "
                f"have {width}: they come from another encoder; the model's are "
                f"{self.stored.encoders}"
            )


def load_model(store: FeatureStore, name: str) -> LoadedModel:
    """The stored model with this id, or the only one whose id starts so.

    Raises
    ------
    UnknownNameError
        If there is none.
    InvalidInputError
        If several ids start so, or its weights cannot be read.
    """
    with store.session() as session:
        stored = find_model(session, name)
        weights = stored_weights(session, stored.model_id)
    if stored.predictor not in _RESTORERS:
        raise InvalidInputError(
            f"model {stored.model_id} is a {stored.predictor!r}, which this version cannot load"
        )
    return LoadedModel(stored, _RESTORERS[stored.predictor](stored.settings, weights))
