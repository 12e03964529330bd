"""A backup equals its source, history included; a second one copies only what is new."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import lance
import pytest
from click.testing import CliRunner
from whole_store import PROPERTY, STRUCTURE_TABLE, N, crystal, ingest_vectors, view_choices

from featurestore.cli import root
from featurestore.errors import ConflictError, InvalidInputError, StorageError, StoreNotFoundError
from featurestore.store import FeatureStore
from featurestore.tables.storage import UNFINISHED
from featurestore.upkeep.backup import back_up, table_digest
from featurestore.upkeep.maintenance import maintain
from featurestore.upkeep.verify import verify


def same(one: FeatureStore, other: FeatureStore) -> bool:
    assert one.tables() == other.tables()
    return all(
        table_digest(one.dataset(table)) == table_digest(other.dataset(table))
        for table in one.tables()
    )


def fingerprint(store: FeatureStore) -> str:
    return store.training_view(PROPERTY, **view_choices()).fingerprint


def write_more(store: FeatureStore, first: int) -> None:
    with store.run("ingest embeddings", {}) as run:
        ids = [crystal(i).structure_id for i in range(first, first + 5)]
        ingest_vectors(store, STRUCTURE_TABLE, ids, run)


@pytest.mark.slow
def test_a_backup_is_the_store_with_its_history(store, tmp_path):
    version = store.dataset(STRUCTURE_TABLE).version
    write_more(store, 50)
    store.create_snapshot("first", "")
    done = back_up(store, tmp_path / "copy")
    copy = FeatureStore.open(tmp_path / "copy")
    assert same(store, copy) and fingerprint(copy) == fingerprint(store)
    assert not [finding for finding in verify(copy) if finding.wrong]
    assert copy.dataset(STRUCTURE_TABLE).checkout_version(version).count_rows() == N
    assert fingerprint(FeatureStore.open(copy.uri, at="first")) == fingerprint(store)
    assert done.files_present == 0 and done.tables == len(store.tables())
    assert not (tmp_path / "copy" / UNFINISHED).exists()


def test_a_second_backup_copies_what_is_new(store, tmp_path):
    first = back_up(store, tmp_path / "copy")
    again = back_up(store, tmp_path / "copy")
    assert again.files_copied == 0 and again.files_present == first.files_copied
    write_more(store, 50)
    more = back_up(store, tmp_path / "copy")
    # One version of the vectors, two of the runs, each a manifest, a transaction, a data file, …
    assert 0 < more.files_copied < 15
    assert same(store, FeatureStore.open(tmp_path / "copy"))


def test_deleted_snapshots_and_cleaned_versions_are_followed(store, tmp_path):
    store.create_snapshot("one", "")
    back_up(store, tmp_path / "copy")
    store.delete_snapshot("one")
    write_more(store, 50)
    maintain(store, keep_days=0)
    back_up(store, tmp_path / "copy")
    copy = FeatureStore.open(tmp_path / "copy")
    assert same(store, copy) and copy.snapshots() == []
    assert copy.dataset("materials").tags.list() == {}
    maintain(copy, keep_days=0)
    assert fingerprint(copy) == fingerprint(store)


def test_a_backup_that_is_not_complete_is_no_store(store, tmp_path, monkeypatch):
    import featurestore.upkeep.backup as module

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "_check_equal", fail)
    with pytest.raises(StorageError, match="No space left"):
        back_up(store, tmp_path / "copy")
    with pytest.raises(StoreNotFoundError, match="unfinished backup"):
        FeatureStore.open(tmp_path / "copy")
    monkeypatch.undo()
    done = back_up(store, tmp_path / "copy")
    assert done.files_copied == 0
    assert same(store, FeatureStore.open(tmp_path / "copy"))


@pytest.mark.slow
def test_killed_at_any_moment(store, tmp_path):
    script = "import sys; from featurestore.cli import main; main()"
    command = [sys.executable, "-c", script, "backup", str(tmp_path / "copy"), "--store", store.uri]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    moments = random.Random(0)
    killed = 0
    for _ in range(6):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        started = time.monotonic()
        while process.poll() is None and not (tmp_path / "copy" / UNFINISHED).exists():
            assert time.monotonic() - started < 60
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if (tmp_path / "copy" / UNFINISHED).exists():
            with pytest.raises(StoreNotFoundError):
                FeatureStore.open(tmp_path / "copy")
    assert killed
    back_up(store, tmp_path / "copy")
    assert same(store, FeatureStore.open(tmp_path / "copy"))


def test_a_damaged_copy_is_noticed(store, tmp_path, monkeypatch):
    import featurestore.upkeep.backup as module

    put = module._Files.put

    def damaging(self: object, local: Path, path: str) -> None:
        if path.startswith("splits.lance/data/"):
            other = shutil.copy(local, tmp_path / "other")
            Path(other).write_bytes(Path(other).read_bytes()[:-1] + b"x")
            local = Path(other)
        put(self, local, path)

    monkeypatch.setattr(module._Files, "put", damaging)
    with pytest.raises(StorageError, match="splits"):
        back_up(store, tmp_path / "copy")
    with pytest.raises(StoreNotFoundError):
        FeatureStore.open(tmp_path / "copy")


def test_another_store_is_not_overwritten(store, tmp_path):
    from whole_store import make_whole_store

    other = make_whole_store(tmp_path / "other", n=5, train=False)
    before = table_digest(other.dataset("materials"))
    with pytest.raises(ConflictError, match="another's, or has been written to"):
        back_up(store, other.uri)
    assert table_digest(FeatureStore.open(other.uri).dataset("materials")) == before
    back_up(store, tmp_path / "copy")
    write_more(FeatureStore.open(tmp_path / "copy"), 60)
    with pytest.raises(ConflictError):
        back_up(store, tmp_path / "copy")


def test_places_that_are_refused(store, tmp_path):
    for place in (store.uri, f"{store.uri}/inside", str(Path(store.uri).parent)):
        with pytest.raises(InvalidInputError, match="another place"):
            back_up(store, place)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("text")
    with pytest.raises(StoreNotFoundError, match="other files"):
        back_up(store, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_command_line(store, tmp_path):
    arguments = ["backup", str(tmp_path / "copy"), "--store", store.uri]
    done = CliRunner().invoke(root, arguments)
    assert done.exit_code == 0 and "files copied" in done.output
    assert "0 files copied" in CliRunner().invoke(root, arguments).output
    assert lance.dataset(f"{tmp_path / 'copy'}/materials.lance").count_rows() == N
