"""Stored models that can predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from featurestore.views.parameters import ViewParameters
from train.models import StoredModel, find_model, stored_weights
from train.predictors.base import Predictor, UncertainPredictor
from train.predictors.uncertainty import Uncertainty

#: What wrong bytes raise: no safetensors, an array missing or too many, another shape.
_UNREADABLE = (SafetensorError, KeyError, IndexError, TypeError, RuntimeError)


def _restore_mlp(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.mlp import MLPPredictor

    return MLPPredictor.from_bytes(settings, weights)


def _restore_ensemble(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.ensemble.predictor import EnsemblePredictor

    return EnsemblePredictor.from_bytes(settings, weights)


def _restore_trees(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.baselines.boosted_trees import Trees

    return Trees.from_bytes(settings, weights)


def _restore_constant(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.baselines.constant import ConstantPredictor

    return ConstantPredictor.from_bytes(settings, weights)


def _restore_alignn(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.graph.scratch import AlignnPredictor

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
    try:
        predictor = _RESTORERS[stored.predictor](stored.settings, weights)
    except _UNREADABLE as error:
        raise InvalidInputError(
            f"the weights of model {stored.model_id} ({stored.predictor}) do not load: {error}"
        ) from error
    return LoadedModel(stored, predictor)
