"""What a predictor is: a recipe that fits examples, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from featurestore.output.progress import Progress
from train.predictors.uncertainty import Uncertainty

if TYPE_CHECKING:
    from featurestore.store import FeatureStore
    from featurestore.views.view import TrainingView


@dataclass(frozen=True)
class Examples:
    """Features, float32 of shape (n, width), and targets, float64 of shape (n,).

    A recipe may take other inputs than features: an array of n objects.

    ``segments`` are named slices of the features, as in `TrainingView`. For a property of classes
    the targets are places of ``n_classes`` classes; otherwise that is 0.
    """

    features: npt.NDArray[Any]
    targets: npt.NDArray[np.float64]
    segments: tuple[tuple[str, int, int], ...] = ()
    n_classes: int = 0

    def __len__(self) -> int:
        return len(self.targets)


def joined(train: Examples, val: Examples) -> Examples:
    """Training and validation rows together."""
    return Examples(
        np.concatenate([train.features, val.features]),
        np.concatenate([train.targets, val.targets]),
        train.segments,
        train.n_classes,
    )


class OnVectors:
    """What learns from, or predicts by, the vectors of a training view."""

    def inputs(self, store: FeatureStore, view: TrainingView) -> npt.NDArray[Any]:
        """The view's features, float32 of shape (n, width)."""
        return view.features


@runtime_checkable
class Predictor(Protocol):
    """A trained predictor; one on vectors is a subclass of `OnVectors`."""

    @property
    def n_features(self) -> int:
        """Width of the features it takes; 0 if it takes other inputs than vectors."""
        ...

    def inputs(self, store: FeatureStore, view: TrainingView) -> npt.NDArray[Any]:
        """What it predicts by: an entry for each of the view's rows, shape (n, …)."""
        ...

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), for features of shape (n, n_features).

        One with other inputs takes an array of n such.
        """
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


@runtime_checkable
class ClassPredictor(Protocol):
    """A trained predictor of classes; its `predict` gives the place of the most probable one."""

    def probabilities(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Of each class, float64 of shape (n, classes), whose rows have the sum 1."""
        ...

    def class_sets(
        self, probabilities: npt.NDArray[np.float64], level: float
    ) -> npt.NDArray[np.bool_] | None:
        """Which classes are in the sets of a nominal coverage; None if nothing calibrates them."""
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
    notes : tuple of str
        What a reader of the numbers should know about the training, such as a library's warnings.
    """

    predictor: Predictor
    history: list[Epoch]
    best_epoch: int
    details: Mapping[str, Any] = field(default_factory=dict)
    rehearsed: Predictor | None = None
    notes: tuple[str, ...] = ()


@runtime_checkable
class Recipe(Protocol):
    """A way of training, with all its settings; one on vectors is a subclass of `OnVectors`."""

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

    def inputs(self, store: FeatureStore, view: TrainingView) -> npt.NDArray[Any]:
        """What it learns from: an entry for each of the view's rows, shape (n, …)."""
        ...

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Train; the same arguments give the same bytes on one machine's CPU."""
        ...


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows.

    Parameters
    ----------
    epoch : int
        Number of the pass, from 1.
    train_mae : float
        Mean over the rows of the absolute error at the time the row's batch was trained on, in
        the unit of the targets; of classes the error of the true class's probability, which
        should be 1.
    val_mae : float
        Mean absolute error on the validation rows after the pass.
    """

    epoch: int
    train_mae: float
    val_mae: float
