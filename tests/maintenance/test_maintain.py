"""Maintenance makes a store smaller and keeps rows, tags and what running commands read."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lance
import pytest
from click.testing import CliRunner
from whole_store import STRUCTURE_TABLE, crystal, ingest_materials, ingest_vectors

from featurestore.cli import root
from featurestore.errors import InvalidInputError, StorageError
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.upkeep.maintenance import _superseded, maintain
from featurestore.upkeep.verify import verify


def plain(store: FeatureStore, table: str) -> lance.LanceDataset:
    return lance.dataset(f"{store.uri}/{table}.lance")


def many_small_writes(store: FeatureStore, count: int = 12) -> str:
    """Vectors in as many fragments; the id of their run."""
    with store.run("ingest embeddings", {}) as run:
        ingest_materials(store, range(100, 100 + count), run.run_id)
        for i in range(100, 100 + count):
            ingest_vectors(store, STRUCTURE_TABLE, [crystal(i).structure_id], run)
    return run.run_id


def rows(store: FeatureStore, table: str) -> list[dict[str, object]]:
    return sorted(plain(store, table).to_table().to_pylist(), key=str)


def test_fragments_are_joined_and_old_versions_go(store):
    many_small_writes(store)
    before = rows(store, STRUCTURE_TABLE)
    (done,) = (t for t in maintain(store, keep_days=0) if t.table == STRUCTURE_TABLE)
    assert done.fragments_before == 13 and done.fragments_after == 1
    assert done.versions_after == 1 < done.versions_before
    assert done.bytes_after < done.bytes_before and not done.note
    files = Path(f"{store.uri}/{STRUCTURE_TABLE}.lance").rglob("*")
    assert done.bytes_after == sum(file.stat().st_size for file in files if file.is_file())
    assert rows(store, STRUCTURE_TABLE) == before
    assert [finding for finding in verify(store) if finding.wrong] == []


def test_versions_within_the_retention_stay_readable(store):
    version = plain(store, STRUCTURE_TABLE).version
    many_small_writes(store)
    maintain(store)
    assert plain(store, STRUCTURE_TABLE).checkout_version(version).count_rows() == 20


def test_tagged_versions_stay_for_ever(store):
    dataset = plain(store, STRUCTURE_TABLE)
    dataset.tags.create("published", dataset.version)
    many_small_writes(store)
    maintain(store, keep_days=0)
    tagged = lance.dataset(f"{store.uri}/{STRUCTURE_TABLE}.lance", version="published")
    assert tagged.count_rows() == 20 and len(tagged.to_table()) == 20
    with pytest.raises((ValueError, OSError)):
        plain(store, STRUCTURE_TABLE).checkout_version(dataset.version + 1).count_rows()


def test_what_a_running_command_reads_stays(store):
    """Its run has no end yet: versions from its beginning on are kept, whatever is asked for."""
    with store.run("train mlp", {}), store.session() as session:
        many_small_writes(store)
        maintain(store, keep_days=0)
        assert len(session.dataset(STRUCTURE_TABLE).to_table()) == 20
    maintain(store, keep_days=0)
    assert len(plain(store, STRUCTURE_TABLE).versions()) == 1


def test_age_is_counted_from_when_a_version_was_replaced(store):
    """What was the newest version yesterday stays, however long ago it was written."""
    moment = datetime.now(UTC)
    old = plain(store, STRUCTURE_TABLE)
    many_small_writes(store, 1)
    kept = _superseded(plain(store, STRUCTURE_TABLE), moment)
    assert old.version not in kept.get("versions", [])
    later = _superseded(plain(store, STRUCTURE_TABLE), datetime.now(UTC))
    assert old.version in later["versions"]


def test_a_dry_run_changes_nothing_and_says_what_would_go(store):
    many_small_writes(store)
    maintain(store, keep_days=0)
    many_small_writes(store, 3)

    def state() -> list[tuple[str, int, int]]:
        return sorted(
            (str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in Path(store.uri).rglob("*")
        )

    before = state()
    (planned,) = (t for t in maintain(store, keep_days=0, dry_run=True) if t.table == "materials")
    assert state() == before
    assert planned.bytes_after <= planned.bytes_before


def test_a_second_time_does_nothing(store):
    many_small_writes(store)
    maintain(store, keep_days=0)
    for done in maintain(store, keep_days=0):
        assert done.bytes_after == done.bytes_before and done.note == ""


def test_uncommitted_files_of_a_writer_stay(store):
    """A file that no version lists may belong to a write in progress."""
    orphan = Path(f"{store.uri}/{STRUCTURE_TABLE}.lance/data/half.lance")
    orphan.write_bytes(b"half")
    maintain(store, keep_days=0)
    assert orphan.exists()


def test_beside_a_writer(store):
    """As ingestion does, the writer is on record as a run: what it may still read stays."""
    many_small_writes(store, 1)
    errors: list[BaseException] = []

    def write(run: Run) -> None:
        try:
            for i in range(200, 230):
                ingest_vectors(store, STRUCTURE_TABLE, [crystal(i).structure_id], run)
        except BaseException as error:
            errors.append(error)

    with store.run("ingest embeddings", {}) as run:
        writer = threading.Thread(target=write, args=(run,))
        writer.start()
        while writer.is_alive():
            maintain(store, keep_days=0)
        writer.join()
    assert errors == []
    assert plain(store, STRUCTURE_TABLE).count_rows() == 20 + 1 + 30
    maintain(store, keep_days=0)
    assert [finding for finding in verify(store) if finding.wrong] == []


def test_beside_another_maintenance(store, monkeypatch):
    """It drops versions between their being listed and being looked at here."""
    import featurestore.upkeep.maintenance as maintenance

    many_small_writes(store, 3)
    plainly, fails = maintenance._superseded, [f"Not found: {n}.manifest" for n in range(9)]

    def superseded(dataset, keep_from):
        if fails:
            raise ValueError(fails.pop())
        return plainly(dataset, keep_from)

    monkeypatch.setattr(maintenance, "_superseded", superseded)
    maintain(store, keep_days=0)
    assert not fails and len(plain(store, STRUCTURE_TABLE).versions()) == 1
    for why in (["Permission denied"], ["Not found: 1.manifest"] * 2):
        fails.extend(why)
        with pytest.raises(StorageError, match=why[0]):
            maintain(store, keep_days=0)


def test_large_fragments_are_left(store, monkeypatch):
    import featurestore.upkeep.maintenance

    monkeypatch.setattr(featurestore.upkeep.maintenance, "_SMALL_FRAGMENT", 100)
    many_small_writes(store)
    (done,) = (t for t in maintain(store, keep_days=0) if t.table == STRUCTURE_TABLE)
    assert done.fragments_after == done.fragments_before == 13


def test_a_killed_run_of_long_ago_holds_nothing_up(store):
    started = datetime.now(UTC) - timedelta(days=40)
    row = store.sql("FROM runs LIMIT 1").to_pylist()[0]
    row |= {"run_id": "long-ago", "status": "running", "started_at": started, "ended_at": None}
    store.merge_rows("runs", [row])
    many_small_writes(store)
    (done,) = (t for t in maintain(store, keep_days=0) if t.table == STRUCTURE_TABLE)
    assert done.versions_after == 1


def test_command_line(store):
    many_small_writes(store)
    runner = CliRunner()
    dry = runner.invoke(root, ["maintain", "--dry-run", "--store", store.uri])
    assert dry.exit_code == 0 and "would be left" in dry.output
    done = runner.invoke(root, ["maintain", "--store", store.uri, "--format", "json"])
    assert done.exit_code == 0 and STRUCTURE_TABLE in done.output
    assert runner.invoke(root, ["maintain", "--keep-days", "-1"]).exit_code == 2
    with pytest.raises(InvalidInputError):
        maintain(store, keep_days=float("nan"))
