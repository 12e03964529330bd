"""Stage 1: structures with their symmetry and targets into ``materials`` and ``properties``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from featurestore.crystal import Crystal
from featurestore.errors import ConflictError, FeatureStoreError
from featurestore.failure import Failure
from featurestore.progress import Progress
from featurestore.registry import PropertyRegistry
from featurestore.runs import Run
from featurestore.schemas import TABLES
from featurestore.store import FeatureStore
from ingest.runner import WorkerPool
from ingest.stages.outcome import Outcome
from ingest.structures.analysis import analyse_all
from ingest.structures.checks import InvalidStructureError
from ingest.structures.composition import composition_prototype, reduced_formula
from ingest.structures.records import MaterialRecord

_BATCH = 2000
_MISSING = {"na", ""}


def ingest_structures(
    store: FeatureStore,
    records: Iterable[MaterialRecord],
    *,
    dataset: str,
    registry: PropertyRegistry,
    run: Run,
    progress: Progress,
    workers: int,
    replace: bool = False,
) -> tuple[Outcome, Outcome]:
    """Write the materials that are new, and the targets that are new.

    Parameters
    ----------
    dataset : str
        Recorded as the materials' data set and the properties' source.
    workers : int
        Number of processes for the symmetry analysis of large sources.
    replace : bool
        Whether a material or target that is in the store with other content is replaced; else it
        is a failure and the store's stands.

    Returns
    -------
    tuple of Outcome
        Of the materials and of the targets.
    """
    materials, targets = Outcome("materials"), Outcome("targets")
    with store.session() as session:
        known = dict(
            zip(
                *(
                    column.to_pylist()
                    for column in session.query("SELECT material_id, structure_id FROM materials")
                ),
                strict=True,
            )
        )
    seen: set[str] = set()
    ignored: Counter[str] = Counter()
    with WorkerPool(workers) as pool:
        for batch in _batches(records):
            fresh: dict[str, tuple[MaterialRecord, Crystal]] = {}
            refused: set[int] = set()
            for number, record in enumerate(batch):
                name = record.material_id
                try:
                    crystal = _readable(record)
                    if _is_known(record, crystal, known, replace and name not in seen):
                        materials.present += 1
                    else:
                        fresh[name] = record, crystal
                        known[name] = crystal.structure_id
                    seen.add(name)
                except FeatureStoreError as error:
                    materials.failures[name] = _failure(record, error)
                    refused.add(number)
            rows = _rows(fresh, pool, materials, {"dataset": dataset, "run_id": run.run_id})
            values: list[dict[str, Any]] = []
            for number, record in enumerate(batch):
                if number in refused or record.material_id in materials.failures:
                    continue
                for field, value in record.targets.items():
                    if field in registry:
                        name = record.material_id
                        values += parsed_target(name, field, value, dataset, registry, targets)
                    else:
                        ignored[field] += 1
            _merge(store, "materials", rows, materials, replace)
            write_targets(store, values, targets, run, replace)
            progress.update(len(batch))
    store.record_failures("structures", dataset, materials.failures, run)
    store.clear_failures("structures", dataset, seen - set(materials.failures))
    store.record_failures("targets", dataset, targets.failures, run)
    if ignored:
        names = ", ".join(name for name, _ in ignored.most_common(12))
        more = f" and {len(ignored) - 12} more" if len(ignored) > 12 else ""
        targets.notes.append(f"fields that the property registry does not know: {names}{more}")
    return materials, targets


def _readable(record: MaterialRecord) -> Crystal:
    if isinstance(record.structure, Failure):
        raise InvalidStructureError(record.structure.message)
    return record.structure


def _failure(record: MaterialRecord, error: FeatureStoreError) -> Failure:
    return record.structure if isinstance(record.structure, Failure) else Failure.of(error)


def parsed_target(
    material_id: str,
    name: str,
    value: object,
    source: str,
    registry: PropertyRegistry,
    outcome: Outcome,
) -> list[dict[str, Any]]:
    """The row of ``properties`` that a value from a file makes: none if it is missing or refused.

    A refused value is counted in ``outcome.failures``.
    """
    number = parse_target(value)
    if number is None:
        return []
    if isinstance(number, Failure):
        outcome.failures[f"{material_id} {name}"] = number
        return []
    unit = registry[name].unit
    return [
        {
            "material_id": material_id,
            "property": name,
            "source": source,
            "value": number,
            "unit": unit,
        }
    ]


def write_targets(
    store: FeatureStore,
    values: list[dict[str, Any]],
    outcome: Outcome,
    run: Run,
    replace: bool = False,
) -> None:
    """Merge rows of ``properties``; one with another value than the store's is a failure."""
    _merge(store, "properties", [row | {"run_id": run.run_id} for row in values], outcome, replace)


def parse_target(value: object) -> float | Failure | None:
    """A target from a file: a finite number, None where it is missing, or why it is refused.

    JARVIS writes ``"na"`` for a missing value; an empty cell and ``null`` mean the same.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in _MISSING):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return Failure("InvalidTarget", f"{value!r} is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return Failure("InvalidTarget", f"{value!r} is no number")
    if not math.isfinite(number):
        return Failure("InvalidTarget", f"{value!r} is not finite")
    return number


def _batches(records: Iterable[MaterialRecord]) -> Iterator[list[MaterialRecord]]:
    iterator = iter(records)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _is_known(
    record: MaterialRecord, crystal: Crystal, known: Mapping[str, str], may_replace: bool
) -> bool:
    """Whether the store, or this run, has the material with this very structure.

    Raises
    ------
    ConflictError
        If it has the material with another structure.
    """
    there = known.get(record.material_id)
    if there is None:
        return False
    if there == crystal.structure_id:
        return True
    if may_replace:
        return False
    raise ConflictError(
        f"material {record.material_id} of {record.source_file} has another structure than the one "
        f"already read (structure_id {crystal.structure_id[:12]}, there {there[:12]}); give it "
        "another id, or pass --replace to replace what an earlier run stored"
    )


def _rows(
    fresh: Mapping[str, tuple[MaterialRecord, Crystal]],
    pool: WorkerPool,
    outcome: Outcome,
    constants: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Rows of ``materials`` for the structures that pass the checks; the others are failures."""
    analyses = analyse_all([crystal for _, crystal in fresh.values()], pool)
    rows = []
    for (record, crystal), found in zip(fresh.values(), analyses, strict=True):
        if isinstance(found, Failure):
            outcome.failures[record.material_id] = found
            continue
        rows.append(
            {
                "material_id": record.material_id,
                "structure_id": crystal.structure_id,
                "source_file": record.source_file,
                "formula": reduced_formula(crystal.species),
                "prototype": composition_prototype(crystal.species),
                "n_atoms": crystal.n_atoms,
                "volume": crystal.volume,
                **vars(found),
                "lattice": crystal.lattice.reshape(-1).tolist(),
                "species": list(crystal.species),
                "frac_coords": crystal.frac_coords.reshape(-1).tolist(),
                **constants,
            }
        )
    return rows


def _merge(
    store: FeatureStore, table: str, rows: list[dict[str, Any]], outcome: Outcome, replace: bool
) -> None:
    """Merge rows; what the store has otherwise, or the batch has twice, becomes a failure."""
    key = TABLES[table].key
    content = TABLES[table].content
    distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        first = distinct.setdefault(tuple(row[name] for name in key), row)
        if any(first[name] != row[name] for name in content):
            outcome.failures[_item(row, key)] = _conflict(row, key, "twice in the source")
        elif first is not row:
            outcome.present += 1
    result = store.merge_rows(table, distinct.values(), replace=replace)
    outcome.written += result.written
    outcome.present += result.present
    for conflict in result.conflicts:
        outcome.failures[_item(conflict, key)] = _conflict(conflict, key, "in the store already")


def _item(row: Mapping[str, Any], key: tuple[str, ...]) -> str:
    return " ".join(str(row[name]) for name in key[:2])


def _conflict(row: Mapping[str, Any], key: tuple[str, ...], where: str) -> Failure:
    named = ", ".join(f"{name} {row[name]!r}" for name in key)
    return Failure(
        "ConflictError",
        f"{named} is {where} with another value; it stands (--replace replaces what an earlier "
        "run stored)",
    )
