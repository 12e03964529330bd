"""What vectors were made from: texts, structures and, last, source files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from featurestore.catalogue import find_encoder
from featurestore.history.nodes import Node, RunRecord, runs_of
from featurestore.quoting import identifier
from featurestore.session import Session
from featurestore.tables.schemas import embedding_table
from featurestore.tables.soundness import object_or_empty
from featurestore.texts.renderings import find_rendering

_SHOWN_FILES = 5


def vectors_node(
    session: Session,
    kind: str,
    encoder_id: str,
    ids: Sequence[str],
    sentences: Node | None = None,
) -> Node:
    """Vectors of one encoder and their inputs; sentences are looked up where none are given."""
    encoder = find_encoder(session, encoder_id, kind)
    table = embedding_table(kind, encoder_id)
    key = "structure_id" if kind == "structure" else "text_id"
    runs = session.query(
        f"SELECT DISTINCT run_id FROM {identifier(table)} "
        f"WHERE {key} IN (SELECT unnest(?)) ORDER BY ALL",
        [list(ids)],
    )["run_id"].to_pylist()
    facts = {"encoder_id": encoder_id, "dimension": encoder.dimension, **encoder.fingerprint}
    if kind == "structure":
        inputs: tuple[Node, ...] = (_structures(session, ids),)
    else:
        inputs = (sentences,) if sentences else _rendered(session, ids[0])
    name = ids[0] if len(ids) == 1 else f"{len(ids):,} {kind}s by {encoder.name}"
    return Node(
        kind=f"{kind} vectors",
        name=name,
        facts=facts,
        table=table,
        runs=runs_of(session, runs),
        inputs=inputs,
    )


def _rendered(session: Session, text_id: str) -> tuple[Node, ...]:
    found = find_rendering(session, text_id)
    if found is None:
        return (Node("sentences", "none in the store render to this text", {}),)
    return (_sentences(session, found.generator_id, found.variant, [found.structure_id]),)


def _sentences(
    session: Session, generator_id: str, variant: str, structure_ids: Sequence[str]
) -> Node:
    rows = session.query(
        "SELECT run_id, count(*) AS n FROM sentences WHERE generator_id = ? "
        "AND structure_id IN (SELECT unnest(?)) GROUP BY ALL ORDER BY ALL",
        [generator_id, list(structure_ids)],
    )
    generator = session.query(
        "SELECT fingerprint FROM generators WHERE generator_id = ?", [generator_id]
    )["fingerprint"][0].as_py()
    facts = {"generator_id": generator_id, "variant": variant, **object_or_empty(generator)}
    return Node(
        kind="sentences",
        name=f"{sum(rows['n'].to_pylist()):,} by {generator_id}",
        facts=facts,
        table="sentences",
        runs=runs_of(session, rows["run_id"].to_pylist()),
        inputs=(_structures(session, structure_ids),),
    )


def _structures(session: Session, structure_ids: Sequence[str]) -> Node:
    rows = session.query(
        "SELECT material_id, structure_id, formula, dataset, source_file, run_id, notes "
        "FROM materials "
        "WHERE structure_id IN (SELECT unnest(?)) ORDER BY material_id",
        [list(structure_ids)],
    )
    facts: dict[str, Any] = {"datasets": _known(rows, "dataset")}
    if len(structure_ids) == 1:
        facts |= {
            "structure_id": structure_ids[0],
            "materials": [f"{row['material_id']} ({row['formula']})" for row in rows.to_pylist()],
        }
        notes = [note for row in rows.to_pylist() for note in row["notes"] or ()]
        if notes:
            facts["notes"] = sorted(set(notes))
    runs = runs_of(session, _known(rows, "run_id"))
    files = _known(rows, "source_file")
    shown = tuple(_source_file(name, runs) for name in files[:_SHOWN_FILES])
    if len(files) > _SHOWN_FILES:
        rest = Node("source file", f"and {len(files) - _SHOWN_FILES:,} more", {})
        shown = (*shown, rest)
    name = structure_ids[0] if len(structure_ids) == 1 else f"{len(structure_ids):,} structures"
    return Node(
        kind="structures", name=name, facts=facts, table="materials", runs=runs, inputs=shown
    )


def _known(rows: pa.Table, column: str) -> list[str]:
    """The values of a column; a damaged row may lack its own."""
    return sorted({value for value in rows[column].to_pylist() if value is not None})


def _source_file(name: str, runs: Sequence[RunRecord]) -> Node:
    """A source file with the SHA-256 that the run which read it recorded."""
    hashes = sorted(
        {digest for run in runs for path, digest in _hashes(run) if PurePath(path).name == name}
    )
    return Node("source file", name, {"sha256": hashes or "not recorded"})


def _hashes(run: RunRecord) -> list[tuple[str, str]]:
    found = run.arguments.get("source_sha256")
    pairs = found.items() if isinstance(found, dict) else ()
    return [(path, digest) for path, digest in pairs if isinstance(digest, str)]
