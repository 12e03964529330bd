"""Snapshots: what is named stays readable byte for byte, whatever is done to the store later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import synthetic_store as toy

from featurestore.errors import (
    ConflictError,
    InvalidInputError,
    MissingDataError,
    ReadOnlyStoreError,
    StorageError,
    StoreNotFoundError,
    UnknownNameError,
)
from featurestore.failure import Failure
from featurestore.history.snapshots import create_snapshot
from featurestore.history.versions import SNAPSHOTS
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.tables import Tables
from featurestore.testing.rows import EMBEDDINGS, keys, made_up
from featurestore.testing.store import Place

VECTORS = EMBEDDINGS[0]
BOTH = toy.view_request("structure+text")


def at(place: Place, name: str | datetime) -> FeatureStore:
    return FeatureStore.open(place.uri, at=name)


def clean_up(place: Place, table: str) -> None:
    """Join all fragments and drop every superseded version, by no code of the store."""
    place.plain(table).optimize.compact_files()
    place.plain(table).cleanup_old_versions(
        timedelta(0), delete_unverified=True, error_if_tagged_old_versions=False
    )


def tags(place: Place) -> set[str]:
    names = set(place.open().tables()) - {SNAPSHOTS}
    return {tag for name in names for tag in place.plain(name).tags.list()}


def rows_of(store: FeatureStore, table: str) -> pa.Table:
    dataset = store.dataset(table)
    assert dataset is not None
    by = [(name, "ascending") for name in dataset.schema.names[:1]]
    return dataset.to_table().sort_by(by)


def test_a_snapshot_is_what_was_there(any_place: Place) -> None:
    store = any_place.open()
    store.merge("materials", made_up("materials", range(3)))
    before = datetime.now(UTC)
    made = store.create_snapshot("first", "three materials")
    assert made.versions["materials"] == any_place.plain("materials").version
    assert made.rows == {"materials": 3, "runs": 1}
    assert before <= made.created_at <= datetime.now(UTC)
    [row] = store.sql("FROM snapshots").to_pylist()
    assert (row["name"], row["message"]) == ("first", "three materials")
    store.merge("materials", made_up("materials", range(3, 5)))
    store.merge("materials", made_up("materials", [0], "other"), replace=True)
    store.merge("splits", made_up("splits", range(2)))
    past = at(any_place, "first")
    assert past.tables() == ["materials", "runs"]
    assert rows_of(past, "materials").equals(made_up("materials", range(3)))
    assert past.sql("SELECT count(*) AS n FROM splits")["n"].to_pylist() == [0]
    assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [5]


def test_it_outlives_replacement_compaction_and_clean_up(any_place: Place) -> None:
    store = any_place.open()
    for number in range(10):
        store.merge("materials", made_up("materials", [number]))
    wanted = rows_of(store, "materials")
    version = store.create_snapshot("first").versions["materials"]
    store.compact("materials")
    store.merge("materials", made_up("materials", range(10), "other"), replace=True)
    store.remove("materials", "material_id <> 'material_id-3'")
    clean_up(any_place, "materials")
    kept = {entry["version"] for entry in any_place.plain("materials").versions()}
    assert kept == {version, any_place.plain("materials").version}
    assert rows_of(at(any_place, "first"), "materials").equals(wanted)


def test_yesterdays_training_view_byte_for_byte(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "store"))
    store = toy.make_store(tmp_path / "store", 40)
    view = store.training_view(toy.PROPERTY, **BOTH)
    store.create_snapshot("yesterday")
    time = datetime.now(UTC)
    toy.make_store(tmp_path / "store", 90)  # more materials, with all that belongs to them
    moved = [row | {"value": 7.0} for row in store.sql("FROM properties").to_pylist()]
    store.merge_rows("properties", moved, replace=True)
    store.remove("sentences", "structure_id = 'structure-3'")
    now = store.training_view(toy.PROPERTY, **BOTH)
    assert now.fingerprint != view.fingerprint and len(now) == 89
    found = [
        at(place, moment).training_view(toy.PROPERTY, **BOTH) for moment in (time, "yesterday")
    ]
    for name in store.tables():
        store.compact(name)
        if name != SNAPSHOTS:
            clean_up(place, name)
    found.append(at(place, "yesterday").training_view(toy.PROPERTY, **BOTH))
    for again in found:
        assert again.fingerprint == view.fingerprint
        assert again.table.equals(view.table)
        assert again.features.tobytes() == view.features.tobytes()
        assert again.excluded == view.excluded and again.versions.keys() == view.versions.keys() | {
            "runs"
        }
    with pytest.raises(MissingDataError, match=r"as of .* has been cleaned up"):
        at(place, time)


def test_nothing_can_be_written_in_the_past(any_place: Place) -> None:
    store = any_place.open()
    store.merge("splits", made_up("splits", range(2)))
    store.create_snapshot("first")
    past = at(any_place, "first")
    versions = {name: any_place.plain(name).version for name in store.tables()}
    for write in (
        lambda: past.merge("splits", made_up("splits", range(3))),
        lambda: past.merge("materials", made_up("materials", range(3))),
        lambda: past.remove("splits", "true"),
        lambda: past.compact("splits"),
        lambda: past.run("x", {}).__enter__(),
        lambda: past.create_snapshot("second"),
        lambda: past.delete_snapshot("first"),
        lambda: past.restore_snapshot("first"),
        lambda: past.record_failures("s", "c", {"i": Failure("E", "m")}, Run("r")),
    ):
        with pytest.raises(ReadOnlyStoreError, match="as of snapshot 'first' and can only be read"):
            write()
    assert versions == {name: any_place.plain(name).version for name in store.tables()}


def test_a_time_is_the_newest_commit_before_it(any_place: Place) -> None:
    store = any_place.open()
    start = datetime.now(UTC)
    times = []
    for number in range(4):
        store.merge("materials", made_up("materials", [number]))
        times.append(datetime.now(UTC))
    for number, moment in enumerate(times):
        assert rows_of(at(any_place, moment), "materials").num_rows == number + 1
    text = times[1].replace(tzinfo=None).isoformat()
    assert at(any_place, text).sql("SELECT count(*) AS n FROM materials")["n"][0].as_py() == 2
    local = times[1].astimezone(tz=None).isoformat()
    assert rows_of(at(any_place, local), "materials").num_rows == 2
    assert at(any_place, start).tables() == []
    with pytest.raises(InvalidInputError, match="in the future"):
        at(any_place, datetime.now(UTC) + timedelta(minutes=1))


def test_a_time_whose_version_is_gone_is_not_answered_by_another(any_place: Place) -> None:
    store = any_place.open()
    store.merge("materials", made_up("materials", [0]))
    store.create_snapshot("kept")
    store.merge("materials", made_up("materials", [1]))
    gone = datetime.now(UTC)
    store.merge("materials", made_up("materials", [2]))
    clean_up(any_place, "materials")
    with pytest.raises(
        MissingDataError, match=r"'materials' as of .* has been cleaned up"
    ) as caught:
        at(any_place, gone)
    offered = str(caught.value).rpartition(" ")[2]
    assert rows_of(at(any_place, offered), "materials").num_rows == 3
    assert rows_of(at(any_place, "kept"), "materials").num_rows == 1


def test_names(any_place: Place) -> None:
    store = any_place.open()
    store.merge("splits", made_up("splits", range(2)))
    for name in ("", "a b", "a/b", "../a", ".a", "a.", "a..b", "-a", "é", "a.lock", "a" * 101):
        with pytest.raises(InvalidInputError, match="snapshot name"):
            store.create_snapshot(name)
    for name in ("a", "2026-11-22", "paper.v1_final-2", "A" * 100):
        store.create_snapshot(name)
        assert at(any_place, name).tables() == sorted(store.snapshot(name).versions)
    with pytest.raises(ConflictError, match=r"already; .*snapshot delete a"):
        store.create_snapshot("a")
    with pytest.raises(UnknownNameError, match=r"did you mean 'paper\.v1_final-2'"):
        at(any_place, "paper.v1_final")
    for wrong in (store.snapshot, store.delete_snapshot, store.restore_snapshot):
        with pytest.raises(UnknownNameError, match="unknown snapshot"):
            wrong("paper")
    # What was refused from the start is no run.
    assert store.sql("SELECT status FROM runs")["status"].to_pylist() == ["finished"] * 4


def test_a_place_without_a_store_has_no_past(any_place: Place) -> None:
    with pytest.raises(StoreNotFoundError):
        FeatureStore.open(any_place.uri, create=True, at="x")


def test_a_deleted_snapshot_leaves_nothing(any_place: Place) -> None:
    store = any_place.open()
    store.merge("splits", made_up("splits", range(2)))
    store.create_snapshot("first")
    kept = store.create_snapshot("second")
    store.delete_snapshot("first")
    assert [snapshot.name for snapshot in store.snapshots()] == ["second"]
    assert tags(any_place) == {kept.tag}
    with pytest.raises(UnknownNameError):
        at(any_place, "first")
    store.create_snapshot("first")


@pytest.mark.parametrize("stop", ["tags", "row"])
def test_a_creation_that_fails_leaves_nothing_visible(
    any_place: Place, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    store = any_place.open()
    store.merge("splits", made_up("splits", range(2)))
    store.merge("materials", made_up("materials", range(2)))
    merge, dataset_at = Tables.merge, Tables.dataset_at

    def refuse(self: Tables, name: str, *arguments: Any, **options: Any) -> Any:
        if name == SNAPSHOTS:
            raise StorageError("the disk is full")
        return merge(self, name, *arguments, **options)

    def refuse_half(self: Tables, name: str, version: Any) -> Any:
        if name == "splits" and isinstance(version, str):
            raise StorageError("the disk is full")
        return dataset_at(self, name, version)

    with monkeypatch.context() as patch:
        if stop == "row":
            patch.setattr(Tables, "merge", refuse)
        else:
            patch.setattr(Tables, "dataset_at", refuse_half)
        with pytest.raises(StorageError, match="the disk is full"):
            store.create_snapshot("first")
    assert store.snapshots() == [] and tags(any_place)
    with pytest.raises(UnknownNameError):
        at(any_place, "first")
    made = store.create_snapshot("first")
    assert tags(any_place) == {made.tag}


def test_tags_of_a_creation_under_way_are_left(any_place: Place) -> None:
    store = any_place.open()
    store.merge("splits", made_up("splits", range(2)))
    with store.run("snapshot create", {}) as run:
        tables: Tables = store._tables
        any_place.plain("splits").tags.create(f"snapshot.slow.{run.run_id}", 1)
        any_place.plain("splits").tags.create("mine", 1)
        made = store.create_snapshot("other")
        assert tags(any_place) == {made.tag, "mine", f"snapshot.slow.{run.run_id}"}
        late = create_snapshot(tables, "late", "", run)
    store.delete_snapshot("other")
    assert tags(any_place) == {late.tag, "mine"}


def counts(found: Any) -> dict[str, tuple[int, int, int]]:
    return {d.table: (d.added, d.changed, d.removed) for d in found if d}


def test_differences_by_key(any_place: Place) -> None:
    store = any_place.open()
    for table in ("materials", "sentences", VECTORS, "models", "generators"):
        store.merge(table, made_up(table, range(6)))
    store.create_snapshot("a")
    same = store.differences(store)
    assert [d for d in same if d] == [] and len(same) == 6
    store.compact(VECTORS)
    store.merge("materials", made_up("materials", range(4, 9), "other"), replace=True)
    store.remove("sentences", "position < 2")
    store.remove(VECTORS, "structure_id = 'structure_id-5'")
    moved = made_up(VECTORS, [5, 6], "x")
    store.merge(VECTORS, moved)
    store.merge("splits", made_up("splits", range(2)))
    store.remove("generators", "generator_id = 'generator_id-0'")
    store.merge("generators", made_up("generators", [7]))
    store.create_snapshot("b")
    found = at(any_place, "a").differences(at(any_place, "b"))
    expected = {
        "materials": (3, 2, 0),
        "sentences": (0, 0, 2),
        VECTORS: (1, 1, 0),
        "splits": (2, 0, 0),
        "generators": (1, 0, 1),
    }
    assert {k: v for k, v in counts(found).items() if k != "runs"} == expected
    [generators] = [d for d in found if d.table == "generators"]
    assert generators.ids == ("-generator_id-0", "+generator_id-7")
    back = at(any_place, "b").differences(at(any_place, "a"))
    assert counts(back)["materials"] == (0, 2, 3) and counts(back)["splits"] == (0, 0, 2)


def test_who_wrote_a_row_is_no_difference(any_place: Place) -> None:
    store = any_place.open()
    store.merge("splits", made_up("splits", range(2)))
    store.create_snapshot("a")
    rows = made_up("splits", range(2))
    store.remove("splits", "true")
    position = rows.column_names.index("run_id")
    store.merge("splits", rows.set_column(position, "run_id", pa.array(["x", "y"])))
    assert set(counts(at(any_place, "a").differences(store))) == {"runs"}


def test_restoring(any_place: Place) -> None:
    store = any_place.open()
    for table in ("materials", "sentences", VECTORS):
        store.merge(table, made_up(table, range(4)))
    store.create_snapshot("good")
    wanted = {name: rows_of(store, name) for name in ("materials", "sentences", VECTORS)}
    store.merge("materials", made_up("materials", range(6), "bad"), replace=True)
    store.remove("sentences", "position > 1")
    store.merge("splits", made_up("splits", range(3)))
    store.create_snapshot("bad")
    plan = store.restoration("good")
    assert counts(plan) == {
        "materials": (0, 4, 2),
        "sentences": (2, 0, 0),
        "splits": (0, 0, 3),
    }
    assert rows_of(store, "materials").num_rows == 6
    versions = {name: any_place.plain(name).version for name in store.tables()}
    assert store.restore_snapshot("good") == plan
    for name, rows in wanted.items():
        assert rows_of(store, name).equals(rows)
    assert rows_of(store, "splits").num_rows == 0
    assert any_place.plain(VECTORS).version == versions[VECTORS]
    assert any_place.plain("materials").version > versions["materials"]
    assert [snapshot.name for snapshot in store.snapshots()] == ["good", "bad"]
    commands = store.sql("SELECT command FROM runs ORDER BY started_at")["command"].to_pylist()
    assert commands == ["snapshot create", "snapshot create", "snapshot restore"]
    assert rows_of(at(any_place, "bad"), "materials").num_rows == 6
    assert store.restoration("good") == []
    store.restore_snapshot("bad")
    assert keys("splits", rows_of(store, "splits")) == keys("splits", made_up("splits", range(3)))
    store.merge("materials", made_up("materials", range(8)))
    assert rows_of(store, "materials").num_rows == 8


def test_columns_declared_later(any_place: Place) -> None:
    """A table written before its schema had a nullable column is read, compared and extended."""
    early = made_up("runs", range(2)).drop_columns(["host"])
    options = {"allow_http": "true"} if "://" in any_place.uri else None
    import lance

    lance.write_dataset(early, f"{any_place.uri}/runs.lance", storage_options=options)
    store = any_place.open()
    assert store.sql("SELECT host FROM runs")["host"].to_pylist() == [None, None]
    store.create_snapshot("a")
    assert store.sql("SELECT count(host) AS n FROM runs")["n"].to_pylist() == [1]
    assert counts(at(any_place, "a").differences(store)) == {"runs": (0, 1, 0)}
