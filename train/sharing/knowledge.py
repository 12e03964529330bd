"""What a group knows of its training materials as arrays and JSON, for a file or a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from train.crossfit.class_sets import ClassCrossCalibration
from train.crossfit.cv_plus import CrossCalibration
from train.forecasts.calibration import Calibration
from train.forecasts.classes import ClassCalibration
from train.forecasts.domain import Domain
from train.forecasts.knowledge import Knowledge

Arrays = dict[str, npt.NDArray[Any]]


def to_arrays(knowledge: Knowledge) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the JSON values that `from_arrays` takes."""
    domain = knowledge.domain
    arrays: Arrays = {
        "features": np.ascontiguousarray(domain.features, dtype=np.float32),
        "targets": np.ascontiguousarray(domain.targets, dtype=np.float64),
    }
    calibration: dict[str, Any] = asdict(knowledge.calibration)
    said = {
        "material_ids": list(domain.material_ids),
        "parts": [list(part) for part in domain.parts],
        "elements": sorted(domain.elements),
        "prototypes": sorted(domain.prototypes),
        "ranges": {name: list(bounds) for name, bounds in domain.ranges.items()},
        # JSON has no NaN
        "calibration": {
            name: None if value != value else value for name, value in calibration.items()
        },
        "notes": list(knowledge.notes),
    }
    if knowledge.cross is not None:
        said["cross"] = {
            "folds": knowledge.cross.folds,
            "fold_of": knowledge.cross.fold_of.tolist(),
            "errors": knowledge.cross.errors.tolist(),
            **(
                {"targets": knowledge.cross.targets.tolist()}
                if isinstance(knowledge.cross, ClassCrossCalibration)
                else {}
            ),
        }
    return arrays, said


def from_arrays(
    arrays: Mapping[str, npt.NDArray[Any]], said: Mapping[str, Any], width: int
) -> Knowledge:
    """The knowledge that `to_arrays` gave, checked throughout: a stranger may have made it.

    Parameters
    ----------
    width : int
        Columns of the features that the models take; 0 for models that read no vectors.

    Raises
    ------
    ValueError
        If shapes or types are others, or a number is not finite.
    KeyError, TypeError
        If something lacks or is of another kind.
    """
    features, targets = arrays["features"], arrays["targets"]
    ids = _strings(said["material_ids"])
    if features.dtype != np.float32 or features.ndim != 2 or len(features) != len(ids):
        raise ValueError("the training materials' features have another form")
    if features.shape[1] not in (0, width):
        raise ValueError(f"features of width {features.shape[1]}, the models take {width}")
    if targets.dtype != np.float64 or targets.shape != (len(ids),):
        raise ValueError("the training materials' targets have another form")
    if not (np.isfinite(features).all() and np.isfinite(targets).all()):
        raise ValueError("a feature or target of the training materials is not finite")
    parts, place = [], 0
    for name, start, stop in said["parts"]:
        if not isinstance(name, str) or start != place or not stop > start:
            raise ValueError("the features' parts do not cover their columns")
        parts.append((name, int(start), int(stop)))
        place = stop
    if place != features.shape[1]:
        raise ValueError("the features' parts do not cover their columns")
    ranges = {str(name): (float(low), float(high)) for name, (low, high) in said["ranges"].items()}
    domain = Domain(
        material_ids=ids,
        targets=targets,
        features=features,
        parts=tuple(parts),
        elements=frozenset(_strings(said["elements"])),
        prototypes=frozenset(_strings(said["prototypes"])),
        ranges=ranges,
    )
    notes = _strings(said["notes"])
    given = said["calibration"]
    cross = _cross(said["cross"]) if "cross" in said else None
    if "thresholds" in given:
        if isinstance(cross, CrossCalibration):
            raise ValueError("out-of-fold errors of classes lack the true classes")
        return Knowledge(domain, _of_classes(given, targets), notes, cross)
    if isinstance(cross, ClassCrossCalibration):
        raise ValueError("out-of-fold errors of numbers have classes")
    numbers = {
        name: float("nan") if given[name] is None else float(given[name])
        for name in ("std_factor", "factor")
    }
    calibration = Calibration(
        n_rows=int(given["n_rows"]),
        own_scale=bool(given["own_scale"]),
        power=float(given["power"]),
        scores=tuple(map(float, given["scores"])),
        **numbers,
    )
    if not 0 <= calibration.power <= 10 or any(value < 0 for value in numbers.values()):
        raise ValueError("the calibration has negative factors")
    scores = np.array(calibration.scores, dtype=np.float64)
    if not (np.isfinite(scores).all() and (np.diff(scores) >= 0).all()):
        raise ValueError("the calibration's scores are not finite and ascending")
    return Knowledge(domain, calibration, notes, cross)


def _cross(given: Mapping[str, Any]) -> CrossCalibration | ClassCrossCalibration:
    folds = int(given["folds"])
    errors = np.array(given["errors"], dtype=np.float64)
    fold_of = np.array(given["fold_of"])
    if errors.ndim != 1 or errors.shape != fold_of.shape:
        raise ValueError("the out-of-fold errors have another form")
    if not (np.isfinite(errors).all() and (errors >= 0).all()):
        raise ValueError("an out-of-fold error is negative or not finite")
    if len(errors) and (
        fold_of.dtype.kind != "i" or not ((fold_of >= 0) & (fold_of < folds)).all()
    ):
        raise ValueError("an out-of-fold error is of no fold")
    fold_of = fold_of.astype(np.int64)
    if "targets" not in given:
        return CrossCalibration(folds, fold_of, errors)
    targets = np.array(given["targets"])
    if targets.shape != errors.shape or (len(errors) and targets.dtype.kind != "i"):
        raise ValueError("the classes of the out-of-fold errors have another form")
    if (targets < 0).any() or (errors > 1).any():
        raise ValueError("an out-of-fold error is of no class, or larger than 1")
    return ClassCrossCalibration(folds, fold_of, targets.astype(np.int64), errors)


def _of_classes(given: Mapping[str, Any], targets: npt.NDArray[np.float64]) -> ClassCalibration:
    thresholds = tuple(map(float, given["thresholds"]))
    if not all(0 <= one <= 1 for one in thresholds):
        raise ValueError(f"thresholds of sets of classes are {list(thresholds)}")
    if not (targets >= 0).all() or not (targets == targets.astype(np.int64)).all():
        raise ValueError("a target of the training materials is the place of no class")
    if thresholds and (targets >= len(thresholds)).any():
        raise ValueError(f"{len(thresholds)} thresholds of sets, and more classes")
    return ClassCalibration(int(given["n_rows"]), thresholds)


def _strings(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError("a list of strings is something else")
    return tuple(values)
