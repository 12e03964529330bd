"""Which structures of one formula are the same crystal, by pymatgen's StructureMatcher.

Equal ids say that two structures are the same to 1e-8; two relaxations of one crystal are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import pyarrow as pa

from featurestore.crystal import Crystal
from featurestore.identity import canonical_json
from featurestore.machine.workers import no_initializer
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from featurestore.tables.runs import Run
from ingest.pipeline.engines import InWorkers
from ingest.pipeline.failures import still_to_do
from ingest.pipeline.job import Job, run_job
from ingest.pipeline.outcome import Outcome
from ingest.stages.selection import Selection
from ingest.structures.convert import to_pymatgen

_STAGE = "duplicates"
#: pymatgen's defaults; the angle in degrees, the others relative.
_TOLERANCES = {"ltol": 0.2, "stol": 0.3, "angle_tol": 5.0}
_FORMULAS_A_WRITE = 2000


@dataclass(frozen=True)
class SameFormula:
    """The distinct structures of one reduced formula, in order of their id."""

    structure_ids: tuple[str, ...]
    crystals: tuple[Crystal, ...]


def matcher_name() -> str:
    """The matcher with all that decides what it finds."""
    settings = {**_TOLERANCES, "primitive_cell": True, "scale": True}
    return f"pymatgen {metadata.version('pymatgen')} StructureMatcher {canonical_json(settings)}"


def ingest_duplicates(
    store: FeatureStore,
    *,
    selection: Selection,
    workers: int,
    time_limit: float,
    retry_failures: bool,
    run: Run,
) -> Outcome:
    """Group the structures of each formula that has several.

    All structures of a formula are compared with each other, again when a new one has come.

    Parameters
    ----------
    selection : Selection
        Whose formulas to compare.
    workers : int
        Processes.
    time_limit : float
        Seconds that one formula may take.
    """
    outcome = Outcome("formulas compared")
    with store.session() as session:
        formulas, present = _formulas(session, selection)
        todo = still_to_do(
            store, _STAGE, matcher_name(), sorted(formulas), present, retry_failures, outcome
        )
        job = Job(
            stage=_STAGE,
            context=matcher_name(),
            label="duplicates",
            unit="formulas",
            table="duplicates",
            write=lambda groups: _write(store, run, groups),
            items_a_write=_FORMULAS_A_WRITE,
        )
        engine = InWorkers(
            work=same_crystals,
            workers=workers,
            initializer=no_initializer,
            initargs=(),
            time_limit=time_limit,
        )
        items = _items(session, {formula: formulas[formula] for formula in todo})
        run_job(store, job, engine, items, len(todo), outcome, run)
    with store.session() as session:
        found = session.query(
            "SELECT count(*) AS n, count(DISTINCT group_id) AS groups FROM duplicates "
            "WHERE group_id IN (SELECT group_id FROM duplicates GROUP BY ALL HAVING count(*) > 1)"
        ).to_pylist()[0]
    outcome.notes.append(
        f"{found['n']:,} structures have another one that is the same crystal: "
        f"{found['groups']:,} groups in the store"
    )
    return outcome


def same_crystals(structures: SameFormula) -> dict[str, str]:
    """The group of each structure: the id of its first member.

    Each structure is compared with the first member of every group there is, in order of the ids,
    as pymatgen's ``group_structures`` does: being alike within a tolerance is not transitive.
    """
    matcher = _matcher()
    firsts: list[tuple[str, Any]] = []
    groups = {}
    for structure_id, crystal in zip(structures.structure_ids, structures.crystals, strict=True):
        structure = to_pymatgen(crystal)
        same = next((name for name, first in firsts if matcher.fit(first, structure)), None)
        if same is None:
            firsts.append((structure_id, structure))
        groups[structure_id] = same or structure_id
    return groups


@cache
def _matcher() -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(**_TOLERANCES)


def _formulas(session: Session, selection: Selection) -> tuple[dict[str, list[str]], set[str]]:
    """All distinct structures of each chosen formula with several, and which formulas are done."""
    rows = session.query(
        "SELECT m.formula_alphabetical AS formula, "
        "list(DISTINCT m.structure_id ORDER BY m.structure_id) AS ids, "
        "bool_and(d.structure_id IS NOT NULL) AS done "
        "FROM materials m LEFT JOIN duplicates d "
        "ON d.structure_id = m.structure_id AND d.matcher = ? "
        "GROUP BY ALL HAVING count(DISTINCT m.structure_id) > 1",
        [matcher_name()],
    ).to_pylist()
    chosen = set(selection.structure_ids(session))
    rows = [row for row in rows if chosen.intersection(row["ids"])]
    formulas = {row["formula"]: row["ids"] for row in rows}
    return formulas, {row["formula"] for row in rows if row["done"]}


def _items(session: Session, formulas: dict[str, list[str]]) -> Iterator[tuple[str, SameFormula]]:
    wanted = [structure_id for ids in formulas.values() for structure_id in ids]
    crystals = stored_crystals(session, wanted)
    for formula, ids in formulas.items():
        found = tuple(next(crystals)[1] for _ in ids)
        yield formula, SameFormula(tuple(ids), found)


def _write(store: FeatureStore, run: Run, groups: dict[str, dict[str, str]]) -> None:
    pairs: Sequence[tuple[str, str]] = [pair for group in groups.values() for pair in group.items()]
    n = len(pairs)
    columns = {
        "structure_id": [structure_id for structure_id, _ in pairs],
        "group_id": [group_id for _, group_id in pairs],
        "matcher": [matcher_name()] * n,
        "run_id": [run.run_id] * n,
    }
    store.merge("duplicates", pa.table(columns), replace=True)
