"""How many test targets the 90 % intervals of forecasts hold: overall, by distance, by system.

``python -m benchmarks.coverage STORE --property slme`` predicts the test fold of the property's
models as ``featurestore predict`` would, and prints coverage and mean width of its intervals beside
those that the models themselves have stored.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from featurestore.output.rows import print_table
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views.candidates import select_candidates
from train.forecasts.chosen import chosen_group, named_group
from train.forecasts.group import load_group, tell

_EDGES = (0, 50, 75, 90, 100, 101)


def _stored(session: Session, model_ids: list[str]) -> dict[str, dict[str, float | None]]:
    """Per test material its target and the half width that the models themselves stored."""
    rows = session.query(
        "SELECT material_id, any_value(target) AS target, avg((upper - lower) / 2) AS half "
        "FROM predictions WHERE fold = 'test' AND model_id IN (SELECT unnest(?::VARCHAR[])) "
        "GROUP BY material_id ORDER BY material_id",
        [model_ids],
    ).to_pylist()
    return {row["material_id"]: row for row in rows}


def coverage_rows(
    store: FeatureStore, choose: Callable[[Session], object], at_least: int = 20
) -> list[dict[str, object]]:
    """Coverage and width for all test materials and for groups of them."""
    with store.session() as session:
        group = choose(session)
    loaded = load_group(store, group)  # type: ignore[arg-type]
    with store.session() as session:
        known = _stored(session, loaded.stored.model_ids)
        selected, _ = select_candidates(session, loaded.parameters, sorted(known))
        systems = session.query("SELECT material_id, crystal_system FROM materials").to_pylist()
    view = selected.read()
    told, readable, _ = tell(loaded, store, view, store)
    names = [name for name, usable in zip(view.material_ids, readable, strict=True) if usable]
    if told.bounds.half_width is None:
        raise click.ClickException(told.bounds.calibration)
    errors = np.abs(told.prediction - np.array([known[name]["target"] for name in names]))
    half = told.bounds.half_width
    own = np.array([known[name]["half"] for name in names], dtype=np.float64)
    system = {row["material_id"]: row["crystal_system"] for row in systems}
    parts: dict[str, np.ndarray] = {"all": np.ones(len(names), bool)}
    if told.distances is not None:
        percentile = told.distances.percentile
        for low, high in pairwise(_EDGES):
            label = f"percentile {low} to {high}" if high <= 100 else "percentile 100"
            parts[label] = (percentile >= low) & (percentile < high)
    for name in sorted({system[one] for one in names}):
        parts[name] = np.array([system[one] == name for one in names])
    found = []
    for label, rows in parts.items():
        n = int(rows.sum())
        if n < at_least and label != "all":
            continue
        found.append(
            {
                "property": loaded.parameters.property,
                "part": label,
                "n": n,
                "mae": float(errors[rows].mean()),
                "covered": float((errors[rows] <= half[rows]).mean()),
                "width": float(2 * half[rows].mean()),
                "covered_before": float((errors[rows] <= own[rows]).mean()),
                "width_before": float(2 * own[rows].mean()),
                "unit": loaded.parameters.unit,
                "how": told.bounds.calibration,
            }
        )
    return found


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--property", "properties", multiple=True, help="By its chosen models.")
@click.option("--model", "models", multiple=True, help="Id of a model or its beginning.")
def main(store: Path, properties: tuple[str, ...], models: tuple[str, ...]) -> None:
    """Print coverage and width of the 90 % intervals on the test folds."""
    opened = FeatureStore.open(store)
    rows: list[dict[str, object]] = []
    for name in properties:
        rows += coverage_rows(opened, lambda session, name=name: chosen_group(session, name))
    for name in models:
        rows += coverage_rows(opened, lambda session, name=name: named_group(session, name))
    print_table(pa.Table.from_pylist(rows))


if __name__ == "__main__":
    main()
