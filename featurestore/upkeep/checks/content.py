"""Checks of content against identity: structures, texts, encoders and generators hash to their ids.

Everything is read in batches; only ids are held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import Encoder, encoders
from featurestore.crystal import Crystal
from featurestore.identity import fingerprint, versioned_id
from featurestore.session import Session
from featurestore.tables.schemas import TABLES, embedding_table
from featurestore.tables.soundness import CHECKED_COLUMNS, parsed_object, unsound_rows
from featurestore.texts.renderings import unrendered
from featurestore.upkeep.checks.finding import RESTORE, Finding, command_for, removable
from featurestore.upkeep.removal import cut_off_materials, shown_names
from featurestore.vectors import Vectors

_ROWS_A_READ = 1024


def check_structures(session: Session) -> Iterator[Finding]:
    """Materials whose lattice, species and coordinates do not hash to their structure_id."""
    dataset = session.dataset("materials")
    if dataset is None:
        return
    columns = ["material_id", "structure_id", "n_atoms", "lattice", "species", "frac_coords"]
    bad = [
        row["material_id"]
        for batch in dataset.to_batches(columns=columns, batch_size=_ROWS_A_READ)
        for row in batch.to_pylist()
        if not _is_itself(row)
    ]
    if bad:
        yield removable(
            "materials",
            "structures do not hash to their structure_id",
            pa.table({"material_id": sorted(bad, key=str)}),
            command_for(session, "materials"),
        )


def _is_itself(row: dict[str, Any]) -> bool:
    if None in (row["lattice"], row["frac_coords"], row["species"]) or None in row["species"]:
        return False
    lattice = np.array(row["lattice"], dtype=np.float64)
    coords = np.array(row["frac_coords"], dtype=np.float64)
    species = tuple(row["species"])
    if lattice.size != 9 or coords.size != 3 * len(species) or row["n_atoms"] != len(species):
        return False
    if not (np.isfinite(lattice).all() and np.isfinite(coords).all()):
        return False
    crystal = Crystal(lattice.reshape(3, 3), species, coords.reshape(-1, 3))
    return bool(crystal.structure_id == row["structure_id"])


def check_registered(session: Session) -> Iterator[Finding]:
    """Encoders, generators and feature sets whose fingerprint is of something else."""
    for table, key, name in (
        ("encoders", "encoder_id", "name"),
        ("generators", "generator_id", "source"),
    ):
        rows = session.query(f"SELECT {key}, {name}, fingerprint FROM {table} ORDER BY {key}")
        bad = [row[key] for row in rows.to_pylist() if not _matches(row[key], row[name], row)]
        if bad:
            found = f"{len(bad)} ids do not match their fingerprints, for example {bad[0]}"
            yield Finding(table, found, RESTORE)
    rows = session.query(
        "SELECT name, version, features, fingerprint FROM feature_sets ORDER BY ALL"
    )
    for row in rows.to_pylist():
        if fingerprint({"features": row["features"]}) != row["fingerprint"]:
            found = f"the features of {row['name']}@{row['version']} do not match their fingerprint"
            yield Finding("feature_sets", found, RESTORE)


def _matches(version_id: str, name: str, row: dict[str, Any]) -> bool:
    try:
        return versioned_id(name, parsed_object(row["fingerprint"])) == version_id
    except ValueError:
        return False


def check_sound(session: Session) -> Iterator[Finding]:
    """Rows that readers leave out or cannot use: broken JSON, unknown kinds, impossible sizes."""
    for table in CHECKED_COLUMNS:
        if table not in session.versions:
            continue
        problems: dict[str, list[dict[str, Any]]] = {}
        for key, problem in unsound_rows(table, session.dataset(table)):
            problems.setdefault(problem, []).append(key)
        for problem, keys in problems.items():
            again = command_for(session, table)
            rows = pa.Table.from_pylist(keys, schema=_key_schema(table))
            yield removable(table, f"rows that cannot be used: {problem}", rows, again)


def _key_schema(table: str) -> pa.Schema:
    return pa.schema(
        [TABLES[table].schema.field(name).with_nullable(True) for name in TABLES[table].key]
    )


def check_vectors(session: Session) -> Iterator[Finding]:
    """Vectors of another width than their encoder's, not finite, or zero throughout."""
    for encoder in encoders(session):
        table = embedding_table(encoder.kind, encoder.encoder_id)
        dataset = session.dataset(table)
        if dataset is None:
            continue
        width = dataset.schema.field("vector").type.list_size
        covered = [*sorted((start, stop) for _, start, stop in encoder.segments)]
        ends = [0, *(stop for _, stop in covered)]
        if width != encoder.dimension:
            yield Finding(
                table, f"vectors have width {width}, their encoder {encoder.dimension}", RESTORE
            )
            continue
        if [start for start, _ in covered] != ends[:-1] or ends[-1] != width:
            yield Finding("encoders", f"segments of {encoder.encoder_id} leave a gap", RESTORE)
        yield from _check_values(session, encoder, table)


def _check_values(session: Session, encoder: Encoder, table: str) -> Iterator[Finding]:
    stored = Vectors.of(session, encoder)
    bad: dict[str, list[str]] = {"null": [*stored.nulls], "not finite": [], "zero throughout": []}
    for ids, vectors in stored.batches(without_nulls=True):
        finite = np.isfinite(vectors).all(axis=1)
        for what, rows in (
            ("not finite", ~finite),
            ("zero throughout", finite & ~vectors.any(axis=1)),
        ):
            if rows.any():
                bad[what] += ids.filter(pa.array(rows)).to_pylist()
    for what, found in bad.items():
        if found:
            rows = pa.table({stored.key: sorted(found, key=str)})
            yield removable(table, f"vectors are {what}", rows, command_for(session, table))


def check_texts(session: Session) -> Iterator[Finding]:
    """Vectors of texts that no stored sentences render to, in any variant."""
    stored = [Vectors.of(session, encoder) for encoder in encoders(session, "text")]
    ids = pa.chunked_array([vectors.ids for vectors in stored], pa.string())
    if not len(ids):
        return
    orphans = unrendered(session, pc.unique(ids))
    cut_off = cut_off_materials(session)
    for vectors in stored:
        here = vectors.ids.filter(pc.is_in(vectors.ids, orphans))
        if len(here) and cut_off:
            yield Finding(
                vectors.table,
                f"{len(here):,} vectors of texts whose sentences a removal has taken that was cut "
                f"off, of {shown_names(cut_off)}",
                "featurestore remove materials with the same condition goes on from there",
                wrong=False,
            )
        elif len(here):
            yield removable(
                vectors.table,
                "vectors of texts that no stored sentences render to",
                pa.table({"text_id": here}),
                command_for(session, vectors.table),
            )
