"""Stage 1b: targets from a CSV file into ``properties``, for materials that are in the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from featurestore.failure import Failure
from featurestore.registry import PropertyRegistry
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.pipeline.failures import kept_failures
from ingest.pipeline.outcome import Outcome
from ingest.stages.structures import (
    parse_target,
    parsed_target,
    target_item,
    write_targets,
)


def ingest_targets(
    store: FeatureStore,
    cells: Iterable[tuple[str, str, str]],
    *,
    source: str,
    registry: PropertyRegistry,
    run: Run,
    replace: bool = False,
) -> Outcome:
    """Write targets given as (material_id, property, value as text).

    A value for a material that the store does not know, or one that is no finite number, is a
    failure.
    """
    outcome = Outcome("targets")
    with store.session() as session:
        known = set(session.query("SELECT material_id FROM materials")["material_id"].to_pylist())
    rows: list[dict[str, Any]] = []
    for material_id, name, value in cells:
        if material_id in known:
            rows += parsed_target(material_id, name, value, source, registry, outcome)
        elif parse_target(value) is not None:
            outcome.failures[f"{material_id} {name}"] = Failure(
                "UnknownMaterial", f"the store has no material {material_id!r}"
            )
    with kept_failures(store, "targets", source, outcome, run) as succeeded:
        write_targets(store, rows, outcome, run, replace)
        succeeded |= {target_item(row) for row in rows}
    return outcome
