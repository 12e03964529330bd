"""Properties of classes: classification, with probabilities and sets of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.classes import check_places
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.views.view import TrainingView
from train.crossfit.class_sets import out_of_fold_sets
from train.predictors.base import ClassPredictor, Predictor
from train.predictors.uncertainty import LEVELS, STORED_LEVEL
from train.tasks.base import Floats, Folds
from train.tasks.class_metrics import (
    MEASURES,
    brier_scores,
    calibration_bins,
    class_metrics,
    confusion,
)


@dataclass(frozen=True)
class SaidOfClasses:
    """Probabilities, shape (n, k), and sets of classes by level, each of that shape.

    ``classes`` are the names of the k classes.
    """

    probabilities: Floats
    sets: Mapping[float, npt.NDArray[np.bool_]] | None
    classes: tuple[str, ...]

    def replaced(self, rows: npt.NDArray[np.bool_], others: SaidOfClasses) -> SaidOfClasses:
        """See `train.tasks.base.Said`."""
        probabilities, sets = self.probabilities.copy(), self.sets
        probabilities[rows] = others.probabilities
        if sets is not None and others.sets is not None:
            sets = {level: inside.copy() for level, inside in sets.items()}
            for level, inside in sets.items():
                inside[rows] = others.sets[level]
        return SaidOfClasses(probabilities, sets, self.classes)

    def finite(self) -> npt.NDArray[np.bool_]:
        """For which rows all probabilities are."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    def columns(self) -> dict[str, Any]:
        """Places of the most probable classes, all probabilities, and the sets by name."""
        n = len(self.probabilities)
        nothing = pa.nulls(n, pa.float64())
        sets: Any = pa.nulls(n, pa.list_(pa.string()))
        if self.sets is not None:
            sets = named_sets(self.sets[STORED_LEVEL], self.classes)
        return {
            "prediction": self.probabilities.argmax(axis=1).astype(np.float64),
            "std": nothing,
            "lower": nothing,
            "upper": nothing,
            "probabilities": pa.array(list(self.probabilities), pa.list_(pa.float64())),
            "class_set": sets,
        }


@dataclass(frozen=True)
class Classes:
    """Classification of a property into classes."""

    classes: tuple[str, ...]

    error = "brier"
    error_name = "Brier score"
    error_unit = "1"
    measures = MEASURES
    beside = tuple(name for name in MEASURES if name != "brier")

    def check(self, view: TrainingView, folds: Folds) -> list[str]:
        """Notes on classes that nothing can be learned of.

        Raises
        ------
        InvalidInputError
            If a target is no class, or all training materials are of one.
        MissingDataError
            If a class has materials, and none to train on.
        """
        p = view.parameters
        check_places(view.targets, p.unit, view.material_ids)
        counts = {
            fold: np.bincount(view.targets[rows].astype(int), minlength=len(self.classes))
            for fold, rows in folds.items()
        }
        train = counts["train"]
        if (train > 0).sum() < 2:
            only = self.classes[int(train.argmax())]
            raise InvalidInputError(
                f"all {int(train.sum()):,} training materials of {p.property!r} are of the class "
                f"{only!r}: there is nothing to tell apart; choose another split, or another rule"
            )
        for place, name in enumerate(self.classes):
            others = {fold: int(counts[fold][place]) for fold in counts if counts[fold][place]}
            if others and not train[place]:
                listed = ", ".join(f"{n} in {fold}" for fold, n in others.items())
                raise MissingDataError(
                    f"the class {name!r} of {p.property!r} has no training material, and {listed}: "
                    f"choose another split (featurestore ingest splits), or leave the class out "
                    f"with --where \"{p.property} <> '{name}'\""
                )
        notes = []
        absent = [name for name, n in zip(self.classes, train, strict=True) if not n]
        if absent:
            notes.append(
                f"no material is of the class {', '.join(map(repr, absent))}: its probability is 0"
            )
        if len(self.classes) > train.sum():
            notes.append(
                f"there are more classes ({len(self.classes)}) than training materials "
                f"({int(train.sum())})"
            )
        return notes

    def said(self, predictor: Predictor, inputs: npt.NDArray[Any]) -> SaidOfClasses:
        """Probabilities and sets."""
        if not isinstance(predictor, ClassPredictor):
            raise InvalidInputError(
                f"a {type(predictor).__name__} gives no probabilities, and the property has the "
                f"classes {', '.join(self.classes)}"
            )
        probabilities = predictor.probabilities(inputs)
        found = {level: predictor.class_sets(probabilities, level) for level in LEVELS}
        sets = {level: one for level, one in found.items() if one is not None}
        return SaidOfClasses(probabilities, sets or None, self.classes)

    def said_out_of_fold(
        self, rows: Sequence[Mapping[str, Any]], fold_of: npt.NDArray[np.int64]
    ) -> SaidOfClasses:
        """Probabilities, with sets by those of the other folds."""
        targets = np.array([row["target"] for row in rows]).astype(np.int64)
        told = np.array([row["probabilities"] for row in rows], dtype=np.float64)
        return SaidOfClasses(told, out_of_fold_sets(told, targets, fold_of), self.classes)

    def metrics(self, targets: Floats, said: SaidOfClasses, folds: Folds) -> dict[str, Any]:
        """Metrics of each fold; of the test fold sets, calibration bins and confusion, too."""
        places, test = targets.astype(np.int64), folds["test"]
        of_folds = {
            fold: class_metrics(places[rows], said.probabilities[rows])
            for fold, rows in folds.items()
        }
        found: dict[str, Any] = {"folds": of_folds, "classes": list(self.classes)}
        if said.sets is not None:
            found |= sets_on(places[test], {k: v[test] for k, v in said.sets.items()})
        if test.any():
            found["calibration_bins"] = calibration_bins(places[test], said.probabilities[test])
            found["confusion"] = confusion(places[test], said.probabilities[test])
        return found

    def errors(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Brier scores, shape (n,)."""
        if not rows:
            return np.empty(0)
        targets = np.array([row["target"] for row in rows]).astype(np.int64)
        return brier_scores(targets, np.array([row["probabilities"] for row in rows]))


def sets_on(
    targets: npt.NDArray[np.int64], sets: Mapping[float, npt.NDArray[np.bool_]]
) -> dict[str, dict[str, float | None]]:
    """``coverage``: share of true classes in the sets, and ``set_size``: mean size, by level."""
    rows = np.arange(len(targets))
    return {
        "coverage": {
            f"{level:.2f}": float(inside[rows, targets].mean()) if len(targets) else None
            for level, inside in sets.items()
        },
        "set_size": {
            f"{level:.2f}": float(inside.sum(axis=1).mean()) if len(targets) else None
            for level, inside in sets.items()
        },
    }


def named_sets(inside: npt.NDArray[np.bool_], classes: Sequence[str]) -> list[list[str]]:
    """The names of the classes in each row's set."""
    return [[name for name, there in zip(classes, row, strict=True) if there] for row in inside]
