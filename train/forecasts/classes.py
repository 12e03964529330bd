"""What seed groups of classes say: mean probabilities over the seeds, and sets that hold 90 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.session import Session
from train.forecasts.calibration import FEWEST_ROWS, UNCALIBRATED
from train.models import SeedGroup
from train.predictors.classes.sets import class_thresholds, sets_of
from train.predictors.uncertainty import STORED_LEVEL

Floats = npt.NDArray[np.float64]

#: Stored and repeated probabilities differ by less.
SAME = 1e-4


@dataclass(frozen=True)
class ClassCalibration:
    """The thresholds of sets of classes, on the mean over seeds; see `ClassSets`.

    Parameters
    ----------
    n_rows : int
        Validation rows.
    thresholds : tuple of float
        Of each class, on one less its probability; empty where the rows are too few.
    """

    n_rows: int
    thresholds: tuple[float, ...]

    #: No power of the distance: sets do not grow with it.
    power = 0.0

    @classmethod
    def of(cls, probabilities: Floats, targets: npt.NDArray[np.int64]) -> ClassCalibration:
        """The thresholds by validation rows, probabilities (n, classes), true classes (n,)."""
        if len(targets) < FEWEST_ROWS:
            return cls(len(targets), ())
        found = class_thresholds(probabilities, targets, STORED_LEVEL)
        return cls(len(targets), tuple(found.tolist()))

    @property
    def said(self) -> str:
        """How sets come about, in a few words."""
        if self.thresholds:
            return f"sets that hold 90 %, by {self.n_rows:,} validation rows"
        rows = f"{self.n_rows} validation rows" if self.n_rows else "no validation rows"
        return f"{UNCALIBRATED}: {rows}, {FEWEST_ROWS} needed"

    def sets(self, probabilities: Floats) -> npt.NDArray[np.bool_] | None:
        """Which classes are in each row's set, shape (n, classes); None without calibration."""
        return sets_of(probabilities, np.array(self.thresholds)) if self.thresholds else None


@dataclass(frozen=True, eq=False)
class ToldOfClasses:
    """What a group says of n rows.

    Parameters
    ----------
    probabilities : ndarray, shape (n, classes), float64
        The mean over seeds.
    sets : ndarray, shape (n, classes), bool, or None
        None without calibration.
    """

    probabilities: Floats
    sets: npt.NDArray[np.bool_] | None


def as_stored(
    session: Session, model_ids: Sequence[str], names: Sequence[str], probabilities: Floats
) -> None:
    """Put stored probabilities in the place of those that differ by rounding alone.

    ``probabilities`` has the shape (n, seeds, classes).
    """
    column = {model_id: place for place, model_id in enumerate(model_ids)}
    at = {material_id: place for place, material_id in enumerate(names)}
    for row in _rows(session, model_ids, names):
        place = at[row["material_id"]], column[row["model_id"]]
        stored = np.array(row["probabilities"])
        if np.abs(stored - probabilities[place]).max() <= SAME:
            probabilities[place] = stored


def calibration_of(session: Session, group: SeedGroup, names: Sequence[str]) -> ClassCalibration:
    """The calibration by what the models have stored of these validation materials."""
    _, probabilities, targets = stored_probabilities(session, group, names)
    return ClassCalibration.of(probabilities, targets)


def stored_probabilities(
    session: Session, group: SeedGroup, names: Sequence[str]
) -> tuple[list[str], Floats, npt.NDArray[np.int64]]:
    """What the models have stored of those of some materials that all seeds have.

    Returns
    -------
    list of str
        The materials, ascending.
    ndarray, shape (n, classes), float64
        The mean over the seeds.
    ndarray, shape (n,), int64
        The places of the true classes.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in _rows(session, group.model_ids, names):
        found.setdefault(row["material_id"], []).append(row)
    whole = {name: rows for name, rows in found.items() if len(rows) == len(group)}
    probabilities = np.empty((0, len(group.parameters.classes)))
    if whole:
        of_seeds = [[one["probabilities"] for one in rows] for rows in whole.values()]
        probabilities = np.array(of_seeds, dtype=np.float64).mean(axis=1)
    targets = [int(rows[0]["target"]) for rows in whole.values()]
    return list(whole), probabilities, np.array(targets, dtype=np.int64)


def _rows(session: Session, model_ids: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    rows = session.query(
        "SELECT model_id, material_id, target, probabilities FROM predictions WHERE model_id IN "
        "(SELECT unnest(?::VARCHAR[])) AND material_id IN (SELECT unnest(?::VARCHAR[])) "
        "AND probabilities IS NOT NULL ORDER BY material_id, model_id",
        [list(model_ids), list(names)],
    )
    return list(rows.to_pylist())
