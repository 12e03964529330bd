"""A trained predictor of classes, and the recipe around what learns scores.

What learns sees classes 0, 1, … that all have training rows; the recipe knows which of the declared
classes these are, and gives the others the probability 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, Fitted, OnVectors
from train.predictors.classes.sets import ClassSets
from train.predictors.uncertainty import FEWEST_ROWS, LEVELS

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

TOO_FEW_ROWS = f"too few validation rows to calibrate sets of classes ({FEWEST_ROWS} are enough)"


class Scorer(Protocol):
    """What has learned the probabilities of the classes that it saw."""

    @property
    def n_features(self) -> int:
        """Width of the features."""
        ...

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """Of the classes it saw, float64 of shape (n, seen), whose rows have the sum 1."""
        ...

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything; the class method ``from_arrays`` takes it."""
        ...


@dataclass(frozen=True)
class Learned:
    """What a learner made of rows.

    Parameters
    ----------
    scorer : Scorer
        The one that predicts.
    held_out : Scorer
        One that did not learn from the validation rows: the same, or that of a rehearsal.
    history : list of Epoch
    best_epoch : int
    details : mapping
        What it chose by itself, as JSON values.
    notes : tuple of str
        What a reader of the numbers should know.
    """

    scorer: Scorer
    held_out: Scorer
    history: list[Epoch]
    best_epoch: int
    details: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Learner(Protocol):
    """A way of learning classes, with its settings."""

    @property
    def name(self) -> str:
        """As the store and the command line have it."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """All that can change the result, as JSON values."""
        ...

    @property
    def max_epochs(self) -> int:
        """Most steps that progress is told of."""
        ...

    def learn(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Learned:
        """Learn from rows whose targets are places of ``train.n_classes`` seen classes."""
        ...


@dataclass(frozen=True)
class Classifier(OnVectors):
    """Probabilities of all declared classes.

    Parameters
    ----------
    scorer : Scorer
        Of the classes that had training rows.
    seen : ndarray, shape (seen,), int64
        Places of these among the declared ones.
    n_classes : int
        Declared ones.
    sets : ClassSets or None
        None if the validation rows were too few.
    """

    scorer: Scorer = field(repr=False)
    seen: npt.NDArray[np.int64]
    n_classes: int
    sets: ClassSets | None = None

    @property
    def n_features(self) -> int:
        """Width of the features it takes."""
        return self.scorer.n_features

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """Of each declared class, float64 of shape (n, n_classes)."""
        found = np.zeros((len(features), self.n_classes))
        if len(features):
            found[:, self.seen] = self.scorer.probabilities(features)
        return found

    def predict(self, features: npt.NDArray[Any]) -> Floats:
        """The place of the most probable class, float64 of shape (n,)."""
        return self.probabilities(features).argmax(axis=1).astype(np.float64)

    def class_sets(self, probabilities: Floats, level: float) -> npt.NDArray[np.bool_] | None:
        """Which classes are in each row's set; None without calibration."""
        return None if self.sets is None else self.sets(probabilities, level)

    def to_bytes(self) -> bytes:
        """Everything learned, in the safetensors format."""
        arrays = {f"scorer.{name}": value for name, value in self.scorer.to_arrays().items()}
        arrays |= {"seen": self.seen, "n_classes": np.array([self.n_classes])}
        if self.sets is not None:
            arrays["thresholds"] = self.sets.thresholds
        return bytes(save_arrays({k: np.ascontiguousarray(v) for k, v in arrays.items()}))

    @classmethod
    def from_bytes(cls, scorer: Any, weights: bytes) -> Classifier:
        """Restore a predictor from its safetensors bytes; ``scorer`` is the class of its scorer.

        Raises
        ------
        ValueError
            If the classes that were seen are not among the declared ones, or the thresholds of
            sets are of other classes.
        """
        arrays = load_arrays(weights)
        of_scorer = {
            name.removeprefix("scorer."): value
            for name, value in arrays.items()
            if name.startswith("scorer.")
        }
        seen, n_classes = arrays["seen"], int(arrays["n_classes"][0])
        if len(np.unique(seen)) < len(seen) or not set(seen.tolist()) <= set(range(n_classes)):
            raise ValueError(f"it saw the classes {seen.tolist()} of {n_classes}")
        sets = None
        if (thresholds := arrays.get("thresholds")) is not None:
            if thresholds.ndim == 1:  # written when all classes had one
                thresholds = np.tile(thresholds[:, None], n_classes)
            if thresholds.shape != (len(LEVELS), n_classes):
                raise ValueError(f"thresholds of {thresholds.shape} for {n_classes} classes")
            sets = ClassSets(thresholds)
        return cls(scorer.from_arrays(of_scorer), seen, n_classes, sets)


@dataclass(frozen=True)
class Classification(OnVectors):
    """The recipe: a learner on the classes that there are, and sets by the validation rows.

    Parameters
    ----------
    learner : Learner
        What learns the probabilities.
    """

    learner: Learner

    #: Of a recipe for properties of classes.
    classifies: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The learner's."""
        return self.learner.name

    @property
    def settings(self) -> dict[str, Any]:
        """The learner's."""
        return self.learner.settings

    @property
    def max_epochs(self) -> int:
        """The learner's."""
        return self.learner.max_epochs

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Learn, and calibrate by ``val``.

        Parameters
        ----------
        train, val : Examples
            Whose targets are places of classes; those of ``val`` are among those of ``train``.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        seen = np.unique(train.targets).astype(np.int64)
        encoded = [
            Examples(
                rows.features,
                np.searchsorted(seen, rows.targets.astype(np.int64)).astype(np.float64),
                rows.segments,
                len(seen),
            )
            for rows in (train, val)
        ]
        learned = self.learner.learn(encoded[0], encoded[1], seed, progress)
        held_out = Classifier(learned.held_out, seen, train.n_classes)
        sets = ClassSets.of(held_out.probabilities(val.features), val.targets.astype(np.int64))
        return Fitted(
            predictor=Classifier(learned.scorer, seen, train.n_classes, sets),
            history=learned.history,
            best_epoch=learned.best_epoch,
            details=learned.details,
            rehearsed=None
            if learned.held_out is learned.scorer
            else Classifier(learned.held_out, seen, train.n_classes, sets),
            notes=(*learned.notes, *(() if sets else (TOO_FEW_ROWS,))),
        )
