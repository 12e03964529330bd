"""Every kind of damage is found, named and mended; a whole store is clean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from tiers import few
from whole_store import (
    PROPERTY,
    STRUCTURE_TABLE,
    TEXT_TABLE,
    crystal,
    ingest_materials,
    ingest_sentences,
    ingest_vectors,
    vectors,
)

from featurestore.cli import root
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.upkeep.verify import mend, verify


def damage(store: FeatureStore, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Overwrite a table beside the store's checks."""
    uri = f"{store.uri}/{table}.lance"
    rows = change(lance.dataset(uri).to_table())
    lance.write_dataset(rows, uri, mode="overwrite")


def with_first(rows: pa.Table, column: str, value: object) -> pa.Table:
    """The rows with another value in the first of them."""
    values = rows[column].to_pylist()
    field = rows.schema.field(column)
    changed = pa.array([value, *values[1:]], field.type)
    return rows.set_column(rows.column_names.index(column), field, changed)


def nan_vector(rows: pa.Table) -> pa.Table:
    return with_first(rows, "vector", [float("nan"), 1.0, 2.0, 3.0])


def moved_atom(rows: pa.Table) -> pa.Table:
    return with_first(rows, "frac_coords", [0.0, 0.0, 0.25, 0.5, 0.5, 0.5])


DAMAGES = {
    "a structure that was changed": ("materials", moved_atom, "do not hash"),
    "an atom count that is wrong": (
        "materials",
        lambda rows: with_first(rows, "n_atoms", 3),
        "do not hash",
    ),
    "a sentence that was changed": (
        "sentences",
        lambda rows: with_first(rows, "sentence", "Another sentence."),
        "no stored sentences render to",
    ),
    "a key that is there twice": (
        STRUCTURE_TABLE,
        lambda rows: pa.concat_tables([rows, rows.slice(2, 1)]),
        "1 keys occur more than once",
    ),
    "a vector with NaN": (STRUCTURE_TABLE, nan_vector, "1 vectors are not finite"),
    "a vector of zeros": (
        STRUCTURE_TABLE,
        lambda rows: with_first(rows, "vector", [0.0] * 4),
        "1 vectors are zero",
    ),
    "a target that is infinite": (
        "properties",
        lambda rows: with_first(rows, "value", float("inf")),
        "whose value is not finite",
    ),
    "a target of an unknown material": (
        "properties",
        lambda rows: with_first(rows, "material_id", "stranger"),
        "targets of unknown materials",
    ),
    "a fold of an unknown material": (
        "splits",
        lambda rows: with_first(rows, "material_id", "stranger"),
        "folds of unknown materials",
    ),
    "a lost generator": ("generators", lambda rows: rows.slice(0, 0), "unknown generator"),
    "a lost encoder": ("encoders", lambda rows: rows.slice(0, 1), "not registered"),
    "a fingerprint that was changed": (
        "encoders",
        lambda rows: with_first(rows, "fingerprint", '{"version":2}'),
        "do not match their fingerprints",
    ),
    "lost predictions": (
        "predictions",
        lambda rows: rows.slice(0, 0),
        "models without predictions",
    ),
    "a lost run": (
        "runs",
        lambda rows: rows.filter(pa.compute.not_equal(rows["command"], "ingest text")),
        "not on record",
    ),
    "a column of another type": (
        "splits",
        lambda rows: rows.set_column(
            rows.column_names.index("fold"), "fold", pa.array(range(rows.num_rows))
        ),
        "column fold is int64",
    ),
}


def test_a_whole_store_is_clean(store):
    assert list(verify(store)) == []


@pytest.mark.parametrize("what", few(DAMAGES, 6))
def test_damage_is_found(store, what):
    table, change, said = DAMAGES[what]
    damage(store, table, change)
    found = [finding for finding in verify(store) if finding.wrong]
    assert any(said in finding.problem for finding in found), found
    assert all(finding.mend for finding in found)


def test_every_copy_of_a_doubled_key_is_named_once(store):
    damage(store, "splits", lambda rows: pa.concat_tables([rows, rows, rows.slice(0, 1)]))
    (finding,) = verify(store)
    assert finding.problem.startswith("20 keys occur more than once")


def test_a_damaged_file_is_found(store):
    (file,) = (Path(store.uri) / f"{TEXT_TABLE}.lance" / "data").iterdir()
    content = bytearray(file.read_bytes())
    file.write_bytes(content[: len(content) // 2])
    found = [finding for finding in verify(store) if finding.wrong]
    assert any("cannot be read" in finding.problem for finding in found)


def test_a_lost_file_is_found(store):
    (file,) = (Path(store.uri) / f"{STRUCTURE_TABLE}.lance" / "data").iterdir()
    file.unlink()
    (finding,) = verify(store)
    assert finding.table == STRUCTURE_TABLE and finding.wrong


def test_a_damaged_manifest_is_found(store):
    for manifest in (Path(store.uri) / "splits.lance" / "_versions").iterdir():
        manifest.write_bytes(b"nonsense")
    (finding,) = verify(store)
    assert "cannot read table 'splits'" in finding.problem


def test_what_a_replacement_leaves_is_a_note(store):
    rows = lance.dataset(f"{store.uri}/materials.lance").to_table()
    other = rows.slice(0, 1).to_pylist()[0]
    new = crystal(99)
    other |= {"structure_id": new.structure_id, "lattice": new.lattice.reshape(-1).tolist()}
    store.merge_rows("materials", [other], replace=True)
    found = list(verify(store))
    assert found and not any(finding.wrong for finding in found)
    assert {finding.table for finding in found} == {"sentences", STRUCTURE_TABLE}


def test_what_a_killed_training_leaves_is_a_note(store):
    damage(store, "models", lambda rows: rows.slice(0, 0))
    (finding,) = verify(store)
    assert not finding.wrong and "predictions without a model" in finding.problem


def test_texts_of_several_erased_tags_are_no_orphans(store):
    ids = [store.sql("SELECT sha256('') AS id")["id"][0].as_py()]
    with store.run("ingest embeddings", {}) as run:
        ingest_vectors(store, TEXT_TABLE, ids, run)
    assert list(verify(store)) == []


def test_mending_removes_what_the_next_ingestion_writes_again(store):
    before = lance.dataset(f"{store.uri}/{STRUCTURE_TABLE}.lance").to_table()
    damage(store, STRUCTURE_TABLE, lambda rows: pa.concat_tables([rows, rows.slice(2, 1)]))
    damage(store, STRUCTURE_TABLE, nan_vector)
    found = list(verify(store))
    assert len(found) == 2
    assert mend(store, found) == {STRUCTURE_TABLE: 3}  # of the doubled key both copies
    assert list(verify(store)) == []
    assert lance.dataset(f"{store.uri}/{STRUCTURE_TABLE}.lance").count_rows() == 18
    run = store.sql("SELECT run_id FROM runs ORDER BY started_at")["run_id"][0].as_py()
    ingest_vectors(store, STRUCTURE_TABLE, before["structure_id"].to_pylist(), Run(run))
    after = lance.dataset(f"{store.uri}/{STRUCTURE_TABLE}.lance").to_table()
    ids = after["structure_id"].to_pylist()
    assert sorted(ids) == sorted(before["structure_id"].to_pylist())
    there = np.stack([np.array(vector) for vector in after["vector"].to_pylist()])
    assert np.array_equal(there.astype(np.float32), vectors(ids, 4))


def test_mending_by_composite_keys_and_quotes(store):
    name = "it's"
    with store.run("ingest splits", {}) as run:
        row = {"split": name, "property": PROPERTY, "material_id": "toy-001", "fold": "test"}
        store.merge_rows("splits", [row | {"run_id": run.run_id}])
    damage(store, "splits", lambda rows: pa.concat_tables([rows, rows.slice(20, 1)]))
    assert mend(store, list(verify(store))) == {"splits": 2}
    assert store.sql("SELECT DISTINCT split FROM splits")["split"].to_pylist() == ["toy"]


def test_memory_is_bounded_by_batches(store, monkeypatch):
    """Vectors are never read as one table: a store whose datasets refuse that still verifies."""
    from featurestore import session

    class Streamed:
        def __init__(self, dataset):
            self._dataset = dataset

        def __getattr__(self, name):
            return getattr(self._dataset, name)

        def to_table(self, columns, **others):
            assert "vector" not in columns
            return self._dataset.to_table(columns=columns, **others)

    plain = session.Session.dataset
    monkeypatch.setattr(session.Session, "dataset", lambda self, name: Streamed(plain(self, name)))
    assert list(verify(store)) == []


@pytest.mark.slow
def test_command_line(store):
    def run(*arguments: str) -> object:
        return CliRunner().invoke(root, ["verify", "--store", store.uri, *arguments])

    clean = run()
    assert clean.exit_code == 0 and "0 wrong, 0 notes" in clean.output
    store.create_snapshot("clean")
    damage(store, STRUCTURE_TABLE, nan_vector)
    wrong = run()
    assert wrong.exit_code == 1
    assert run("--at", "clean").exit_code == 0
    assert run("--at", "clean", "--mend").exit_code == 2
    assert "WRONG" in wrong.output and "featurestore verify --mend" in wrong.output
    assert run("--format", "json").exit_code == 1
    mended = run("--mend")
    assert mended.exit_code == 1 and "moved 1 rows" in mended.output
    assert run().exit_code == 0


def test_tables_grow_while_they_are_verified(store):
    """`verify` sees one version of each table: a writer beside it is no fault."""
    checks = verify(store)
    with store.run("ingest structures", {}) as run:
        ingest_materials(store, range(20, 30), run.run_id)
        ingest_sentences(store, range(20, 30), run.run_id)
    assert list(checks) == []
