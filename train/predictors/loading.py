"""Stored models that can predict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError
from featurestore.plugins import (
    MissingPackageError,
    NotAPartError,
    PartConflictError,
    PartImportError,
)
from featurestore.store import FeatureStore
from featurestore.views.parameters import ViewParameters
from featurestore.views.view import TrainingView
from train.crossfit.predictor import CrossFitted
from train.models import StoredModel, find_model, stored_weights
from train.predictors.base import ClassPredictor, Predictor, UncertainPredictor
from train.predictors.registry import recipe_names, restored
from train.predictors.uncertainty import Uncertainty

#: What is to be mended about the installed packages, not about the model.
_OF_PACKAGES = (MissingPackageError, NotAPartError, PartConflictError, PartImportError)


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

    def inputs(self, store: FeatureStore, view: TrainingView) -> npt.NDArray[Any]:
        """What the model predicts by, for each row of a view like its own: `predict` takes it.

        Raises
        ------
        InvalidInputError
            If a material cannot be read, for example as a graph.
        """
        return self.predictor.inputs(store, view)

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Predictions for a feature matrix, or for other inputs; of classes the places.

        Parameters
        ----------
        features : ndarray, shape (n, width), float32
            Laid out as in the model's training view; what `inputs` gives where the model takes no
            vectors.

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

    def probabilities(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Of each class, in the order of ``parameters.classes``.

        Parameters
        ----------
        features : ndarray, shape (n, width), float32
            Laid out as in the model's training view.

        Returns
        -------
        ndarray, shape (n, classes), float64

        Raises
        ------
        InvalidInputError
            If the features have another width, or the model predicts numbers.
        """
        self._check_width(features)
        if not isinstance(self.predictor, ClassPredictor):
            raise InvalidInputError(
                f"model {self.model_id} predicts numbers in {self.parameters.unit}, no classes"
            )
        return self.predictor.probabilities(features)

    def uncertainty(self, features: npt.NDArray[Any]) -> Uncertainty:
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
        if isinstance(self.predictor, CrossFitted):
            raise InvalidInputError(
                f"model {self.model_id} has learned from all rows, and its intervals are told by "
                "featurestore predict, or train.predict: they need what each fold's model says"
            )
        known = isinstance(self.predictor, UncertainPredictor)
        found = self.predictor.uncertainty(features) if known else None  # type: ignore[attr-defined]
        if found is None:
            raise InvalidInputError(
                f"model {self.model_id} ({self.stored.predictor}) has no uncertainty; train one "
                "that has, on enough validation rows, with: featurestore train ensemble"
            )
        return found

    def _check_width(self, features: npt.NDArray[Any]) -> None:
        width = features.shape[1] if features.ndim > 1 else 0
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
        If several ids start so, no package registers its predictor, or its weights cannot be read.
    MissingPackageError, PartImportError, PartConflictError, NotAPartError
        If the package that registers its predictor is at fault, or lacks one it needs.
    """
    with store.session() as session:
        stored = find_model(session, name)
        weights = stored_weights(session, stored.model_id)
    return _restored(stored, weights)


def load_models(store: FeatureStore, stored: Iterable[StoredModel]) -> tuple[LoadedModel, ...]:
    """Models whose rows are known already; raises as `load_model`."""
    with store.session() as session:
        weights = [(model, stored_weights(session, model.model_id)) for model in stored]
    return tuple(_restored(*one) for one in weights)


def _restored(stored: StoredModel, weights: bytes) -> LoadedModel:
    if stored.predictor not in recipe_names():
        raise InvalidInputError(
            f"model {stored.model_id} is a {stored.predictor!r}, which this version cannot load: "
            "no installed package registers such a predictor; install the one that does"
        )
    try:
        classes = bool(stored.parameters.classes)
        predictor = restored(stored.predictor, stored.settings, weights, classes)
    except _OF_PACKAGES:
        raise
    except Exception as error:  # whatever wrong bytes make somebody's reader raise
        raise InvalidInputError(
            f"the weights of model {stored.model_id} ({stored.predictor}) do not load: {error}"
        ) from error
    return LoadedModel(stored, predictor)
