"""Several processes on one store: what each has committed is there once, whoever came first."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

import pytest

from featurestore.errors import ConflictError, StorageError, UnknownNameError
from featurestore.failure import Failure
from featurestore.store import FeatureStore
from featurestore.tables import retrying
from featurestore.tables import tables as tables_module
from featurestore.tables.runs import Run
from featurestore.testing.rows import EMBEDDINGS, keys, made_up
from featurestore.testing.store import Place

VECTORS = EMBEDDINGS[0]
BATCHES = 3


def insert(place: Place, number: int) -> None:
    """The same new keys from every process, and own ones; the tables do not exist at first."""
    store = place.open()
    for batch in range(BATCHES):
        store.merge(VECTORS, made_up(VECTORS, range(batch * 10, batch * 10 + 10)))
        own = 1000 * (number + 1) + batch * 10
        store.merge("sentences", made_up("sentences", range(own, own + 10)))


def fail_and_mend(place: Place, number: int) -> None:
    """Failures are recorded and cleared, as two ingestions do it."""
    store = place.open()
    for turn in range(BATCHES):
        items = {f"item-{number}-{turn}-{n}": Failure("E", "m") for n in range(5)}
        shared = {f"shared-{n}": Failure("E", f"{number}-{turn}") for n in range(5)}
        store.record_failures("stage", "", items | shared, Run(f"run-{number}"))
        store.clear_failures("stage", "", [name for name in items if not name.endswith("-0")])


def join_fragments(place: Place, number: int) -> None:
    """One process joins fragments all the while the other writes."""
    store = place.open()
    for turn in range(4 * BATCHES):
        if number:
            store.merge("splits", made_up("splits", range(turn * 2, turn * 2 + 2)))
        else:
            store.compact("splits")


def take_snapshots(place: Place, number: int) -> None:
    """Both processes want the same names."""
    store = place.open()
    for turn in range(2):
        try:
            store.create_snapshot(f"s-{turn}", f"by {number}")
        except ConflictError:
            continue


def killed_in_a_snapshot(place: Place, number: int) -> None:
    """The process ends without a word after its second tag."""
    from lance.dataset import Tags

    create, done = Tags.create, []

    def create_two(self: Any, *arguments: Any) -> None:
        create(self, *arguments)
        done.append(arguments)
        if len(done) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    Tags.create = create_two
    place.open().create_snapshot("first")


def together(task: Any, place: Place, processes: int, exit_code: int = 0) -> None:
    """Run the task in so many processes that begin at the same time."""
    # As fresh as spawned ones, but for the imports, whose two seconds they have from their server.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["featurestore.store", "lancedb", "pytest"])
    start = context.Barrier(processes)
    running = [
        context.Process(target=begin, args=(task, place, number, start, dict(os.environ)))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join(180)
    assert [process.exitcode for process in running] == [exit_code] * processes


def begin(task: Any, place: Place, number: int, start: Any, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    start.wait()
    task(place, number)


def test_insertions(any_place: Place) -> None:
    together(insert, any_place, 4)
    assert keys(VECTORS, any_place.plain(VECTORS).to_table()) == keys(
        VECTORS, made_up(VECTORS, range(10 * BATCHES))
    )
    numbers = [1000 * (number + 1) + row for number in range(4) for row in range(10 * BATCHES)]
    assert keys("sentences", any_place.plain("sentences").to_table()) == keys(
        "sentences", made_up("sentences", numbers)
    )


def test_replacements_and_removals(any_place: Place) -> None:
    together(fail_and_mend, any_place, 3)
    rows = any_place.plain("failures").to_table().to_pylist()
    left = sorted(row["item"] for row in rows)
    kept = [f"item-{number}-{turn}-0" for number in range(3) for turn in range(BATCHES)]
    assert left == sorted(kept + [f"shared-{n}" for n in range(5)])
    assert len({row["message"] for row in rows if row["item"].startswith("shared")}) == 1


def test_compaction_beside_a_writer(any_place: Place) -> None:
    any_place.open().merge("splits", made_up("splits", range(2)))
    together(join_fragments, any_place, 2)
    found = any_place.plain("splits").to_table()
    assert keys("splits", found) == keys("splits", made_up("splits", range(8 * BATCHES)))


def test_a_snapshots_name_is_given_once(any_place: Place) -> None:
    any_place.open().merge("splits", made_up("splits", range(2)))
    together(take_snapshots, any_place, 2)
    store = any_place.open()
    made = store.snapshots()
    assert sorted(snapshot.name for snapshot in made) == [f"s-{turn}" for turn in range(2)]
    assert set(any_place.plain("splits").tags.list()) == {snapshot.tag for snapshot in made}
    for snapshot in made:
        assert FeatureStore.open(any_place.uri, at=snapshot.name).tables() == ["runs", "splits"]


def test_a_creation_that_is_killed(any_place: Place) -> None:
    store = any_place.open()
    for table in ("splits", "materials", VECTORS):
        store.merge(table, made_up(table, range(2)))

    def tags() -> set[str]:
        names = ("splits", "materials", VECTORS, "runs")
        return {tag for name in names for tag in any_place.plain(name).tags.list()}

    together(killed_in_a_snapshot, any_place, 1, -signal.SIGKILL)
    assert store.snapshots() == [] and len(tags()) == 1
    with pytest.raises(UnknownNameError):
        FeatureStore.open(any_place.uri, at="first")
    assert store.sql("SELECT status FROM runs")["status"].to_pylist() == ["killed"]
    made = store.create_snapshot("first")
    assert tags() == {made.tag}


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pauses between attempts are not waited for; the list is filled with messages to come."""
    monkeypatch.setattr(retrying.time, "sleep", lambda seconds: None)
    return []


def test_a_conflict_is_tried_again_on_what_the_other_has_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, conflicts: list[str]
) -> None:
    from lance.dataset import MergeInsertBuilder

    place = Place(str(tmp_path / "store"))
    store, other = place.open(), place.open()
    store.merge("materials", made_up("materials", range(2)))
    execute = MergeInsertBuilder.execute

    def beaten(self: Any, *arguments: Any) -> Any:
        if len(conflicts) < 3:
            conflicts.append("")
            if len(conflicts) == 1:
                with monkeypatch.context() as patch:
                    patch.setattr(MergeInsertBuilder, "execute", execute)
                    other.merge("materials", made_up("materials", [2], "other"))
            raise OSError("Too many concurrent writers. Attempted 10 times, but failed on retry")
        return execute(self, *arguments)

    monkeypatch.setattr(MergeInsertBuilder, "execute", beaten)
    result = store.merge("materials", made_up("materials", range(4)))
    assert (result.written, result.present) == (1, 2)
    assert result.conflicts == [{"material_id": "material_id-2"}]
    assert place.plain("materials").count_rows() == 4


def test_a_key_that_another_writer_inserts_in_between(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lance.dataset import MergeInsertBuilder

    place = Place(str(tmp_path / "store"))
    store = place.open()
    store.merge("materials", made_up("materials", range(2)))
    execute = MergeInsertBuilder.execute

    def late(self: Any, *arguments: Any) -> Any:
        monkeypatch.setattr(MergeInsertBuilder, "execute", execute)
        place.open().merge("materials", made_up("materials", [2], "other"))
        place.open().merge("materials", made_up("materials", [3]))
        return execute(self, *arguments)

    monkeypatch.setattr(MergeInsertBuilder, "execute", late)
    result = store.merge("materials", made_up("materials", range(5)))
    assert (result.written, result.present) == (1, 3)
    assert result.conflicts == [{"material_id": "material_id-2"}]


def test_compaction_that_always_loses_is_left_for_later(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, conflicts: list[str], capsys: Any
) -> None:
    from lance.dataset import DatasetOptimizer

    place = Place(str(tmp_path / "store"))
    store = place.open()
    for number in range(10):
        store.merge("splits", made_up("splits", [number]))

    def beaten(self: Any) -> None:
        raise OSError("Retryable commit conflict for version 11")

    monkeypatch.setattr(DatasetOptimizer, "compact_files", beaten)
    monkeypatch.setattr(tables_module, "_SECONDS_FOR_COMPACTION", 0.05)
    store.compact("splits")
    assert "table splits is being written to" in capsys.readouterr().err
    monkeypatch.undo()
    store.compact("splits")
    assert len(place.plain("splits").get_fragments()) == 1


def test_what_is_no_conflict_is_not_tried_again(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, conflicts: list[str]
) -> None:
    from lance.dataset import DatasetOptimizer

    store = Place(str(tmp_path / "store")).open()
    for number in range(10):
        store.merge("splits", made_up("splits", [number]))

    def full(self: Any) -> None:
        conflicts.append("")
        raise OSError("No space left on device")

    monkeypatch.setattr(DatasetOptimizer, "compact_files", full)
    with pytest.raises(StorageError, match="cannot compact table 'splits'"):
        store.compact("splits")
    assert len(conflicts) == 1
