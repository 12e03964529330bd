"""Stage 1: structures with their symmetry and targets into ``materials`` and ``properties``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.machine.pool import Pool, worker_pool
from featurestore.output.progress import Progress
from featurestore.registry import PropertyRegistry
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import TABLES
from ingest.pipeline.failures import kept_failures
from ingest.pipeline.interruption import Interruption, stop_on_interrupt
from ingest.pipeline.outcome import Outcome
from ingest.pipeline.overlap import read_ahead
from ingest.structures.analysis import Analysis, analyse_all
from ingest.structures.composition import composition_prototype, reduced_formula
from ingest.structures.records import MaterialRecord, NotAStructure
from ingest.structures.symmetry import SYMPREC
from ingest.targets.cells import parse_target

_BATCH = 2000
_SECONDS_A_BATCH = 20.0  # files may be read slowly, and a kill should lose little
_BATCHES_AHEAD = 1


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
    a_batch: int | None = None,
    written: Callable[[int], None] = lambda count: None,
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
    a_batch : int, optional
        Most records that are written at once; by default `_BATCH`.
    written : callable
        Told how many records more are written, after each batch.

    Returns
    -------
    tuple of Outcome
        Of the materials and of the targets.
    """
    materials, targets = Outcome("materials"), Outcome("targets")
    with store.session() as session:
        stored = session.query("SELECT material_id, structure_id FROM materials").to_pylist()
    known = {row["material_id"]: row["structure_id"] for row in stored}
    failed_targets = store.failed_items("targets", dataset)
    accepted: dict[str, str] = {}
    ignored: Counter[str] = Counter()
    noted: dict[str, list[str]] = {}
    with (
        stop_on_interrupt() as interruption,
        kept_failures(store, "structures", dataset, materials, run) as succeeded,
        kept_failures(store, "targets", dataset, targets, run) as solved_targets,
        worker_pool(workers) as pool,
        read_ahead(_batches(records, a_batch or _BATCH, interruption), _BATCHES_AHEAD) as batches,
    ):
        for batch in batches:
            rows: list[dict[str, Any]] = []
            values: list[dict[str, Any]] = []
            for record, found in zip(batch, _analysed(batch, known, pool), strict=True):
                name, structure = record.material_id, record.structure
                if isinstance(found, NotAStructure):
                    materials.passed_over[record.source_file] = found
                    continue
                if isinstance(found, Failure):
                    _fail(materials, record, found)
                    continue
                assert isinstance(structure, Crystal)  # an unreadable one is refused above
                there = known.get(name)
                if there == structure.structure_id:
                    materials.present += 1
                elif there is None or (replace and name not in accepted):
                    assert found is not None
                    row = _row(record, structure, found)
                    for note in row["notes"] or ():
                        noted.setdefault(note.partition(":")[0], []).append(name)
                    rows.append(row | {"dataset": dataset, "run_id": run.run_id})
                    known[name] = structure.structure_id
                else:
                    _fail(
                        materials,
                        record,
                        _other_structure(record, structure, there, accepted.get(name)),
                    )
                    continue
                accepted.setdefault(name, record.source_file)
                for field, value in record.targets.items():
                    if field in registry:
                        values += parsed_target(name, field, value, dataset, registry, targets)
                    else:
                        ignored[field] += 1
            _merge(store, "materials", rows, materials, replace)
            write_targets(store, values, targets, run, replace)
            succeeded.update(accepted)
            solved_targets |= failed_targets & {target_item(row) for row in values}
            written(len(batch))
            progress.update(len(batch))
    if interruption.asked:
        raise KeyboardInterrupt(f"{materials.written:,} materials written")
    for table in ("materials", "properties"):
        store.compact(table)
    materials.noted = len({name for names in noted.values() for name in names})
    materials.notes += [
        f"{len(names):,} stored with a note on {kind}, for example {names[0]}"
        for kind, names in sorted(noted.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]
    if ignored:
        names = ", ".join(name for name, _ in ignored.most_common(12))
        more = f" and {len(ignored) - 12} more" if len(ignored) > 12 else ""
        targets.notes.append(f"fields that the property registry does not know: {names}{more}")
    return materials, targets


def target_item(row: Mapping[str, Any]) -> str:
    """The name under which the failure of a target is kept."""
    return f"{row['material_id']} {row['property']}"


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
    unit = registry[name].unit
    number = parse_target(value, unit=unit)
    if number is None:
        return []
    if isinstance(number, Failure):
        outcome.failures[f"{material_id} {name}"] = number
        return []
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


def _batches(
    records: Iterable[MaterialRecord], size: int, interruption: Interruption
) -> Iterator[list[MaterialRecord]]:
    """Records to be written at once; what has been read when the user asks to stop is the last."""
    batch: list[MaterialRecord] = []
    since = time.monotonic()
    for record in records:
        batch.append(record)
        asked = interruption.asked
        if len(batch) >= size or asked or time.monotonic() - since > _SECONDS_A_BATCH:
            yield batch
            if asked:
                return
            batch, since = [], time.monotonic()
    if batch:
        yield batch


def _analysed(
    batch: Sequence[MaterialRecord], known: Mapping[str, str], pool: Pool
) -> list[Analysis | Failure | None]:
    """The symmetry of each structure, or why it is refused; None for known ones."""
    results: list[Analysis | Failure | None] = [
        record.structure if isinstance(record.structure, Failure) else None for record in batch
    ]
    fresh = {
        number: record.structure
        for number, record in enumerate(batch)
        if isinstance(record.structure, Crystal)
        and known.get(record.material_id) != record.structure.structure_id
    }
    for number, found in zip(fresh, analyse_all(list(fresh.values()), pool), strict=True):
        results[number] = found
    return results


def _fail(outcome: Outcome, record: MaterialRecord, failure: Failure) -> None:
    """Count a failure; a second one of the same id is named by its file too."""
    item = record.material_id
    if item in outcome.failures:
        item = f"{item} ({record.source_file})"
    if isinstance(record.structure, Crystal) and record.source_file not in failure.message:
        # what the checks find knows no file
        failure = replace(failure, message=f"{record.source_file}: {failure.message}")
    outcome.failures[item] = failure


def _other_structure(
    record: MaterialRecord, crystal: Crystal, there: str, read_before: str | None
) -> Failure:
    where = f"the one of {read_before}" if read_before else "the one that an earlier run stored"
    ways = [] if "://" in record.source_file else ["give it another id (--id-from path)"]
    # of two in one run none replaces the other
    ways += [] if read_before else ["replace that with the same command and --replace"]
    return Failure(
        "ConflictError",
        f"material {record.material_id} of {record.source_file} has another structure than "
        f"{where} (structure_id {crystal.structure_id[:12]}, there {there[:12]}); "
        + (", or ".join(ways) or "the first of the two stands"),
    )


def _row(record: MaterialRecord, crystal: Crystal, found: Analysis) -> dict[str, Any]:
    notes = [*record.notes, *found.notes]
    number = found.symmetry.space_group_number
    # a file that states 1 lists all its atoms and claims nothing
    if record.space_group not in (None, 1, number):
        notes.append(
            f"space group: the file states number {record.space_group}, its atoms have "
            f"{number} at {SYMPREC} Å"
        )
    return {
        "material_id": record.material_id,
        "structure_id": crystal.structure_id,
        "source_file": record.source_file,
        "formula": reduced_formula(crystal.species),
        "prototype": composition_prototype(crystal.species),
        "n_atoms": crystal.n_atoms,
        "volume": crystal.volume,
        **vars(found.symmetry),
        "lattice": crystal.lattice.reshape(-1).tolist(),
        "species": list(crystal.species),
        # Wrapped: jarvis's neighbour search misses sites that lie several cells away, and equal
        # structure_ids must mean equal inputs.
        "frac_coords": crystal.wrapped_coords.reshape(-1).tolist(),
        "notes": notes or None,
    }


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
