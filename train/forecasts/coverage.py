"""How many test targets the 90 % intervals of forecasts hold: overall, by distance, by system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.store import FeatureStore
from featurestore.views.candidates import select_candidates
from train.forecasts.classes import ToldOfClasses
from train.forecasts.domain import Distances
from train.forecasts.group import LoadedGroup, tell
from train.tasks.class_metrics import brier_scores

#: Groups of test materials by percentile of the distance; the last is beyond all.
PERCENTILES = (0, 50, 75, 90, 100)
FEWEST_MATERIALS = 20

_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("n", pa.int64()),
        *[(name, pa.float64()) for name in ("mae", "covered", "width")],
        *[(name, pa.float64()) for name in ("covered_by_models", "width_by_models")],
    ]
)


_OF_CLASSES = pa.schema(
    [
        ("part", pa.string()),
        ("n", pa.int64()),
        *[(name, pa.float64()) for name in ("brier", "covered", "set_size")],
    ]
)


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
        ``part`` (all, percentiles of the distance, crystal systems), ``n`` materials, ``mae``,
        ``covered`` (share of the targets), ``width`` (mean); the last two likewise of the intervals
        that the models themselves stored, null where they have none. Of classes in their place
        ``brier``, ``covered`` and ``set_size``. Parts of fewer than 20 materials are left out. No
        rows where there is no test fold or no calibrated interval.
    """
    with store.session() as session:
        rows = session.query(
            "SELECT material_id, any_value(target) AS target, avg((upper - lower) / 2) AS half "
            "FROM predictions WHERE fold = 'test' AND model_id IN (SELECT unnest(?::VARCHAR[])) "
            "GROUP BY material_id ORDER BY material_id",
            [group.stored.model_ids],
        ).to_pylist()
        known = {row["material_id"]: row for row in rows}
        selected, _ = select_candidates(session, group.parameters, sorted(known))
        found = session.query("SELECT material_id, crystal_system FROM materials").to_pylist()
    system = {row["material_id"]: row["crystal_system"] for row in found}
    view = selected.read()
    told, readable, _ = tell(group, store, view, store)
    half = told.bounds.half_width
    names = [name for name, usable in zip(view.material_ids, readable, strict=True) if usable]
    systems = [system[name] for name in names]
    if told.classes is not None:
        targets = np.array([known[name]["target"] for name in names])
        return _of_classes(told.classes, targets, _parts(systems, told.distances))
    if half is None or not names:
        return _SCHEMA.empty_table()
    errors = np.abs(told.prediction - np.array([known[name]["target"] for name in names]))
    own = np.array([known[name]["half"] for name in names], dtype=np.float64)
    made = []
    for part, chosen in _parts(systems, told.distances).items():
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


def _parts(systems: Sequence[str], distances: Distances | None) -> dict[str, npt.NDArray[np.bool_]]:
    """All materials, and those of each percentile and crystal system that are not too few."""
    parts: dict[str, npt.NDArray[np.bool_]] = {}
    if distances is not None:
        at = distances.percentile
        for low, high in pairwise(PERCENTILES):
            parts[f"percentile {low} to {high}"] = (at >= low) & (at < high)
        parts[f"percentile {PERCENTILES[-1]}"] = at >= PERCENTILES[-1]
    for name in sorted(set(systems)):
        parts[name] = np.array([one == name for one in systems], dtype=bool)
    enough = {part: rows for part, rows in parts.items() if rows.sum() >= FEWEST_MATERIALS}
    return {"all": np.ones(len(systems), bool)} | enough


def _of_classes(
    told: ToldOfClasses,
    targets: npt.NDArray[np.float64],
    parts: Mapping[str, npt.NDArray[np.bool_]],
) -> pa.Table:
    """For each part n, the Brier score, and the coverage and mean size of the sets."""
    made = []
    if told.sets is not None and len(targets):
        places = targets.astype(np.int64)
        errors = brier_scores(places, told.probabilities)
        held, sizes = told.sets[np.arange(len(places)), places], told.sets.sum(axis=1)
        made = [
            {
                "part": part,
                "n": int(rows.sum()),
                "brier": float(errors[rows].mean()),
                "covered": float(held[rows].mean()),
                "set_size": float(sizes[rows].mean()),
            }
            for part, rows in parts.items()
        ]
    return pa.Table.from_pylist(made, schema=_OF_CLASSES)
