"""How many test targets the 90 % intervals of forecasts hold: overall, by distance, by system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from featurestore.views.candidates import select_candidates
from train.crossfit.class_sets import ClassCrossCalibration
from train.crossfit.cv_plus import CrossCalibration, out_of_fold_uncertainty
from train.forecasts.calibration import scaled
from train.forecasts.class_coverage import coverage_of_sets, out_of_fold_told
from train.forecasts.group import LoadedGroup, Told, tell
from train.forecasts.parts import parts_of
from train.predictors.uncertainty import STORED_LEVEL

Floats = npt.NDArray[np.float64]

_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("n", pa.int64()),
        *[(name, pa.float64()) for name in ("mae", "covered", "width")],
        *[(name, pa.float64()) for name in ("covered_by_models", "width_by_models")],
    ]
)


@dataclass(frozen=True, eq=False)
class TestedRows:
    """Test materials with their errors and intervals.

    Parameters
    ----------
    errors : ndarray, shape (n,), float64
        Absolute error of the prediction.
    half : ndarray, shape (n,), float64
        Half the width of the interval that `predict` tells.
    own : ndarray, shape (n,), float64
        Of the one that the models stored; NaN where they have none.
    percentile : ndarray, shape (n,), float64
        Of the distance to the training materials; NaN for models that read no vectors.
    system : tuple of str
        Crystal systems.
    """

    errors: Floats = field(repr=False)
    half: Floats = field(repr=False)
    own: Floats = field(repr=False)
    percentile: Floats = field(repr=False)
    system: tuple[str, ...] = field(repr=False)


def coverage_of_test_fold(store: FeatureStore, group: LoadedGroup) -> pa.Table:
    """Coverage and width of the intervals on the test fold, for all and for parts of it.

    Parameters
    ----------
    store : FeatureStore
        Where the models were trained.
    group : LoadedGroup
        The models.

    Returns
    -------
    pyarrow.Table
        As of `coverage_of`; of classes as of `coverage_of_sets`. No rows where there is no test
        fold or no calibrated interval.
    """
    if group.parameters.classes:
        test = _told_of_test(store, group)
        told = test.told.classes
        if isinstance(group.knowledge.cross, ClassCrossCalibration):
            told = out_of_fold_told(store, group, test.names)
        assert told is not None
        return coverage_of_sets(told, test.targets, parts_of(test.percentile, test.systems))
    rows = tested_rows(store, group)
    return _SCHEMA.empty_table() if rows is None else coverage_of([rows])


def tested_rows(store: FeatureStore, group: LoadedGroup) -> TestedRows | None:
    """The test materials of a group; None where it has none, or no calibrated interval.

    Of models that learned from all rows these are out-of-fold predictions, with intervals by the
    errors of the other folds.

    Raises
    ------
    InvalidInputError
        If the property has classes, which have sets in place of intervals.
    """
    if group.parameters.classes:
        raise InvalidInputError(
            f"{group.parameters.property!r} has classes, whose forecasts are sets and no intervals"
        )
    test = _told_of_test(store, group)
    told, names = test.told, test.names
    predictions, half = told.prediction, told.bounds.half_width
    if group.knowledge.cross is not None:
        # what it says of these materials now, it says having learned from them
        predictions = np.array([test.known[name]["prediction"] for name in names])
        half = _out_of_fold(group, told, names)
    if half is None or not names:
        return None
    return TestedRows(
        errors=np.abs(predictions - test.targets),
        half=half,
        own=np.array([test.known[name]["half"] for name in names], dtype=np.float64),
        percentile=test.percentile,
        system=test.systems,
    )


def coverage_of(tests: Sequence[TestedRows]) -> pa.Table:
    """Coverage and width over all rows of one or several tests, and for parts of them.

    Returns
    -------
    pyarrow.Table
        ``part`` (all, percentiles of the distance, crystal systems), ``n`` materials, ``mae``,
        ``covered`` (share of the targets), ``width`` (mean); the last two likewise of the intervals
        that the models themselves stored, null where they have none. Parts of fewer than 20
        materials are left out.
    """
    errors, half, own, at = (
        np.concatenate([getattr(one, name) for one in tests])
        for name in ("errors", "half", "own", "percentile")
    )
    systems = [name for one in tests for name in one.system]
    made = []
    for part, chosen in parts_of(at, systems).items():
        n = int(chosen.sum())
        has_own = not np.isnan(own[chosen]).any()
        made.append(
            {
                "part": part,
                "n": n,
                "mae": float(errors[chosen].mean()),
                "covered": float((errors[chosen] <= half[chosen]).mean()),
                "width": float(2 * half[chosen].mean()),
                "covered_by_models": float((errors[chosen] <= own[chosen]).mean())
                if has_own
                else None,
                "width_by_models": float(2 * own[chosen].mean()) if has_own else None,
            }
        )
    return pa.Table.from_pylist(made, schema=_SCHEMA)


@dataclass(frozen=True, eq=False)
class _TestFold:
    """What a group says of its test materials, and what the store knows of them."""

    told: Told
    names: list[str]
    known: dict[str, dict[str, Any]]
    systems: tuple[str, ...]

    @property
    def targets(self) -> Floats:
        return np.array([self.known[name]["target"] for name in self.names], dtype=np.float64)

    @property
    def percentile(self) -> Floats:
        distances = self.told.distances
        return np.full(len(self.names), np.nan) if distances is None else distances.percentile


def _told_of_test(store: FeatureStore, group: LoadedGroup) -> _TestFold:
    with store.session() as session:
        rows = session.query(
            "SELECT material_id, any_value(target) AS target, avg(prediction) AS prediction, "
            "avg((upper - lower) / 2) AS half FROM predictions WHERE fold = 'test' AND model_id IN "
            "(SELECT unnest(?::VARCHAR[])) GROUP BY material_id ORDER BY material_id",
            [group.stored.model_ids],
        ).to_pylist()
        known = {row["material_id"]: row for row in rows}
        selected, _ = select_candidates(session, group.parameters, sorted(known))
        found = session.query("SELECT material_id, crystal_system FROM materials").to_pylist()
    system = {row["material_id"]: row["crystal_system"] for row in found}
    view = selected.read()
    told, readable, _ = tell(group, store, view, store)
    names = [name for name, usable in zip(view.material_ids, readable, strict=True) if usable]
    return _TestFold(told, names, known, tuple(system[name] for name in names))


def _out_of_fold(group: LoadedGroup, told: Told, names: Sequence[str]) -> Floats | None:
    """Half the width of intervals by the errors of the folds that a material is not in."""
    cross, domain = group.knowledge.cross, group.knowledge.domain
    if not isinstance(cross, CrossCalibration) or len(cross.errors) != len(domain.material_ids):
        return None
    found = out_of_fold_uncertainty(cross.errors, cross.fold_of)
    rows = domain.rows_of(names)
    if found is None or (rows < 0).any():
        return None
    ratios = None if told.distances is None else told.distances.ratio
    scales = scaled(np.ones(len(names)), ratios, group.knowledge.calibration.power)
    return np.asarray(scales * found.half_widths[STORED_LEVEL][rows])
