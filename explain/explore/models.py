"""Models as pages show them: the leaderboard, one group of seeds, and two side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from explain.erasing.rows import seed_siblings
from explain.explore.charts import Calibrated, calibrated
from explain.explore.sessions import Source
from explain.report.model import Part
from explain.report.outcomes import class_points
from explain.report.reliance import relied_on
from featurestore.classes import classes_of
from featurestore.errors import FeatureStoreError
from featurestore.views.request import FOLDS
from train.analysis.ablation import ablation_rows, comparison_warnings
from train.analysis.groups import GroupErrors, group_errors
from train.display.labels import features_label, predictor_label
from train.models import SeedGroup, StoredModel, stored_models
from train.sharing.comparison import Comparison, compare_models

_LEAST_IN_GROUP = 5
_WORST = 15


@dataclass(frozen=True)
class Placed:
    """A line of a leaderboard; ``letter`` stands for its materials, see `AblationRow`."""

    models: SeedGroup
    features: str
    predictor: str
    error: float | None
    std: float | None
    letter: str
    standing: str

    @property
    def error_name(self) -> str:
        """What the error is, in short."""
        return str(self.models.first.task.error_name)

    @property
    def sizes(self) -> dict[str, int]:
        """Materials in each fold."""
        folds = self.models.first.metrics["folds"]
        return {fold: folds[fold]["n"] for fold in FOLDS}

    @property
    def coverage(self) -> float | None:
        """Share of the test targets in the 90 % intervals or sets, in per cent."""
        found = self.models.first.metrics.get("coverage") or {}
        value = found.get("0.90")
        return None if value is None else 100 * float(value)


@dataclass(frozen=True)
class Board:
    """The models of one property on one split, the smallest error first."""

    property: str
    split: str
    unit: str
    rows: tuple[Placed, ...]


def leaderboards(source: Source) -> tuple[tuple[Board, ...], list[str]]:
    """A board for each property and split, and what to mind in comparing their lines."""
    session = source.session
    rows = ablation_rows(session, stored_models(session))
    standings = session.standings()
    boards: dict[tuple[str, str], list[Placed]] = {}
    for row in rows:
        p = row.first.parameters
        placed = Placed(
            models=row.models,
            features=features_label(row.first),
            predictor=predictor_label(row.first),
            error=row.test_error,
            std=row.test_error_std,
            letter=row.materials,
            standing=standings.get(row.first.model_id, ""),
        )
        boards.setdefault((p.property, p.split or ""), []).append(placed)
    found = tuple(
        Board(
            name,
            split,
            "" if classes_of(of[0].models.parameters.unit) else of[0].models.parameters.unit,
            tuple(sorted(of, key=lambda one: (one.error is None, one.error))),
        )
        for (name, split), of in sorted(boards.items())
    )
    return found, comparison_warnings(rows)


@dataclass(frozen=True)
class ModelPage:
    """What the page on a group of seeds shows.

    Parameters
    ----------
    models : SeedGroup
        The group.
    facts : tuple of (str, str)
        What it is.
    measures : tuple of str
        The columns of ``folds``.
    folds : tuple of dict
        Errors of each fold, means over the seeds.
    groups : tuple of GroupErrors
        By crystal system, of the test fold.
    parts : tuple of Part
        What it relies on, as stored; with the command that measures it.
    note : str
        How to read these.
    worst : tuple of dict
        The test materials with the largest errors; of classes those that were most surely wrong.
    confusion : tuple of (str, tuple of int)
        Of classes: for each true class how many were given each class.
    calibration : tuple of Calibrated
        Of classes the probability of what was said, else of intervals, against what came true.
    """

    models: SeedGroup
    facts: tuple[tuple[str, str], ...]
    measures: tuple[str, ...]
    folds: tuple[dict[str, Any], ...]
    groups: tuple[GroupErrors, ...]
    parts: tuple[Part, ...]
    note: str
    worst: tuple[dict[str, Any], ...] = field(repr=False)
    confusion: tuple[tuple[str, tuple[int, ...]], ...] = ()
    calibration: tuple[Calibrated, ...] = ()

    @property
    def unit(self) -> str:
        """Of the property; empty for classes."""
        return "" if self.models.parameters.classes else self.models.parameters.unit


def model_page(source: Source, name: str) -> ModelPage:
    """A model with those that differ from it by the seed.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If no model or several are so named.
    """
    session = source.session
    models = seed_siblings(session, name)
    first = models.first
    tested = bool(first.metrics["folds"]["test"]["n"])
    groups: tuple[GroupErrors, ...] = ()
    if tested:
        [found] = group_errors(session, [models], "crystal_system", _LEAST_IN_GROUP)
        groups = found.groups
    parts, note = _reliance(source, models)
    table = points(source, name, "test") if tested else None
    return ModelPage(
        models=models,
        facts=_facts(models),
        measures=first.task.measures,
        folds=tuple(_fold(models, fold) for fold in FOLDS),
        groups=groups,
        parts=parts,
        note=note,
        worst=() if table is None else _worst(table, bool(first.parameters.classes)),
        confusion=tuple(
            zip(first.parameters.classes, map(tuple, first.metrics["confusion"]), strict=True)
        )
        if first.metrics.get("confusion")
        else (),
        calibration=_calibration(first, len(table) if table is not None else 0),
    )


def _reliance(source: Source, models: SeedGroup) -> tuple[tuple[Part, ...], str]:
    try:
        return relied_on(source.session, models, source.store.uri)
    except FeatureStoreError as error:
        why = Part(title="What it relies on", first="", explanation="", rows=(), why_not=str(error))
        return (why,), ""


def _facts(models: SeedGroup) -> tuple[tuple[str, str], ...]:
    first, p = models.first, models.parameters
    facts = [
        ("target", p.property),
        ("source of the targets", p.property_source),
        ("features", features_label(first)),
        ("encoders", first.encoders),
        ("split", p.split or "none"),
        ("predictor", predictor_label(first)),
        ("seeds", ", ".join(map(str, models.seeds))),
        ("view", first.view_fingerprint[:12]),
    ]
    facts += [("only materials where", p.where)] if p.where else []
    facts += [("note", note) for note in first.metrics.get("notes", ())]
    return tuple((name, str(value)) for name, value in facts if value)


def _fold(models: SeedGroup, fold: str) -> dict[str, Any]:
    rows = [model.metrics["folds"][fold] for model in models]
    means = {}
    for name in models.first.task.measures:
        values = [row.get(name) for row in rows]
        means[name] = (
            None if None in values else float(np.mean([v for v in values if v is not None]))
        )
    return {"fold": fold, "n": rows[0]["n"]} | means


def points(source: Source, name: str, fold: str | None = None) -> pa.Table:
    """What a group of seeds predicted, a row for each material.

    Returns
    -------
    pyarrow.Table
        material_id, formula, crystal_system, fold, target, prediction (mean over the seeds),
        lower, upper (of the first seed) and seeds_std; of classes their names, with probabilities
        (mean over the seeds, of which the prediction has the largest) and class_set (of the first
        seed) instead of an interval and seeds_std.
    """
    models = seed_siblings(source.session, name)
    if models.parameters.classes:
        return class_points(source.session, models, fold)
    return source.session.query(
        """
        SELECT p.material_id, any_value(m.formula) AS formula,
               any_value(m.crystal_system) AS crystal_system, any_value(p.fold) AS fold,
               any_value(p.target) AS target, avg(p.prediction) AS prediction,
               any_value(p.lower) FILTER (p.model_id = $first) AS lower,
               any_value(p.upper) FILTER (p.model_id = $first) AS upper,
               stddev_samp(p.prediction) AS seeds_std
        FROM predictions p LEFT JOIN materials m USING (material_id)
        WHERE list_contains($models, p.model_id) AND ($fold IS NULL OR p.fold = $fold)
        GROUP BY p.material_id ORDER BY p.material_id
        """,
        {"first": models.first.model_id, "models": models.model_ids, "fold": fold},
    )


def _calibration(first: StoredModel, n: int) -> tuple[Calibrated, ...]:
    if first.parameters.classes:
        bins = first.metrics.get("calibration_bins", ())
        return calibrated([(one["confidence"], one["accuracy"], one["n"]) for one in bins])
    found = first.metrics.get("coverage") or {}
    return calibrated([(float(level), share, n) for level, share in sorted(found.items())])


def _worst(table: pa.Table, classes: bool) -> tuple[dict[str, Any], ...]:
    rows = table.to_pylist()
    if classes:
        wrong = [row for row in rows if row["prediction"] != row["target"]]
        wrong.sort(key=lambda row: -max(row["probabilities"] or [0.0]))
        return tuple(row | {"sure": max(row["probabilities"] or [0.0])} for row in wrong[:_WORST])
    rows.sort(key=lambda row: -abs(row["prediction"] - row["target"]))
    return tuple(row | {"error": row["prediction"] - row["target"]} for row in rows[:_WORST])


def compared(source: Source, a: str, b: str) -> Comparison:
    """Two groups on the test materials that both have; raises as `compare_models`."""
    return compare_models(source.session, a, b)
