"""A restoration, a migration or a mending and any other writer keep out of each other's way."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from tiers import few
from whole_store import ingest_materials

from featurestore.cli import root
from featurestore.errors import ConflictError, StorageError, UnknownNameError
from featurestore.machine.host import host_facts
from featurestore.tables.exclusion import EXCLUSIVE, BusyStoreError
from featurestore.tables.runs import _write
from featurestore.upkeep.backup import back_up
from featurestore.upkeep.maintenance import recorded_maintenance


@pytest.mark.parametrize("exclusive", few(EXCLUSIVE))
@pytest.mark.parametrize("other", few(["ingest text", "maintain", "train mlp", *EXCLUSIVE]))
def test_neither_begins_beside_the_other(store, exclusive, other):
    for first, second in ((exclusive, other), (other, exclusive)):
        with store.run(first, {}):
            words = f"'featurestore {first}' .* is under way"
            with pytest.raises(BusyStoreError, match=words), store.run(second, {}):
                raise AssertionError("it began")
            store.sql("SELECT 1")
        with store.run(second, {}):
            pass


def test_others_run_beside_each_other(store):
    with store.run("ingest text", {}), store.run("maintain", {}), store.run("train mlp", {}):
        pass


def test_a_restoration_waits_for_a_writer(store):
    store.create_snapshot("a")
    with store.run("ingest structures", {}) as run:
        ingest_materials(store, range(30, 32), run.run_id)
        with pytest.raises(BusyStoreError, match=run.run_id):
            store.restore_snapshot("a")
    assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [22]
    store.restore_snapshot("a")
    assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [20]


def row_of(command: str, **others: object) -> dict[str, object]:
    return {
        "run_id": "20260101T000000-abcdef12",
        "command": command,
        "arguments": "{}",
        "versions": "{}",
        "status": "running",
        "pid": 1,
        "started_at": datetime.now(UTC),
    } | others


def test_what_was_killed_here_is_in_nobodys_way(store):
    from featurestore.identity import canonical_json

    gone = host_facts() | {"process_start": "0"}
    _write(store._tables, row_of("ingest text", host=canonical_json(gone)))
    with store.run("snapshot restore", {}):
        pass


def test_what_was_killed_elsewhere_can_be_said_to_have_ended(store):
    _write(store._tables, row_of("ingest text", host='{"machine": "another"}'))
    words = "maintain --ended 20260101T000000-abcdef12"
    with pytest.raises(BusyStoreError, match=words), store.run("migrate", {}):
        raise AssertionError("it began")
    command = ["maintain", "--ended", "20260101T000000-abcdef12", "--store", store.uri]
    assert CliRunner().invoke(root, command).exit_code == 0
    with store.run("migrate", {}):
        pass
    with pytest.raises(UnknownNameError):
        store.record_ended("20260101T000000-abcdef12")


def test_a_run_of_months_ago_has_ended(store):
    long_ago = datetime.now(UTC) - timedelta(days=40)
    _write(store._tables, row_of("ingest text", host="{}", started_at=long_ago))
    with store.run("migrate", {}):
        pass


def test_a_backup_under_way_is_noticed(store, tmp_path):
    """Its process is this one's parent: alive, and not this one."""
    import json

    from featurestore.machine.host import _process_start
    from featurestore.tables.storage import UNFINISHED

    target = tmp_path / "copy"
    target.mkdir()
    facts = host_facts() | {"process_start": _process_start(os.getppid())}
    note = {"source": store.uri, "pid": os.getppid(), "host": facts}
    (target / UNFINISHED).write_text(json.dumps(note))
    with pytest.raises(ConflictError, match=f"under way in process {os.getppid()}"):
        back_up(store, target)
    (target / UNFINISHED).write_text(json.dumps(note | {"host": facts | {"process_start": "0"}}))
    assert back_up(store, target).rows > 0


def test_a_backup_that_was_overtaken_says_so(store, tmp_path, monkeypatch):
    from featurestore.upkeep import backup

    monkeypatch.setattr(backup, "_note", lambda files: {"token": "another's"})
    with pytest.raises(ConflictError, match="another backup"):
        back_up(store, tmp_path / "copy")


def test_maintenance_on_a_full_disk(store, monkeypatch):
    """No row can be written, the record of the run included, until something was dropped."""
    from featurestore.tables.tables import Tables

    for _ in range(3):
        with store.run("x", {}):
            pass
    plain, refused = Tables.merge, []

    def full(self, name, rows, **choices):
        if len(refused) < 1:
            refused.append(name)
            raise StorageError("cannot write: No space left on device (os error 28)")
        return plain(self, name, rows, **choices)

    monkeypatch.setattr(Tables, "merge", full)
    done = {table.table: table for table in recorded_maintenance(store, keep_days=0)}
    assert refused == ["runs"] and done["runs"].versions_after < done["runs"].versions_before
    assert (
        store.sql("SELECT count(*) AS n FROM runs WHERE command = 'maintain'")["n"][0].as_py() == 1
    )
