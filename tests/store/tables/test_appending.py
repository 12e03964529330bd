"""A large table gets new rows without a look at its old ones, and no key twice all the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import lance
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from test_state_machine import StoreAgainstDictionary
from test_writers import insert, together

from featurestore.quoting import SQL
from featurestore.store import FeatureStore
from featurestore.tables import appending
from featurestore.tables.tables import Tables
from featurestore.testing.rows import keys, made_up
from featurestore.testing.store import VECTORS, Place


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table that has a row counts as large."""
    monkeypatch.setattr(appending, "FEWEST_ROWS", 1)


@pytest.fixture
def place(tmp_path: Any, large: None) -> Place:
    place = Place(str(tmp_path / "store"))
    store = place.open()
    for first in range(0, 15, 5):
        store.merge(VECTORS, made_up(VECTORS, range(first, first + 5)))
    return place


def lances_merge(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The merges that Lance is asked for from now on."""
    from lance.dataset import MergeInsertBuilder

    execute, asked = MergeInsertBuilder.execute, []

    def noted(self: Any, *arguments: Any) -> Any:
        asked.append(arguments)
        return execute(self, *arguments)

    monkeypatch.setattr(MergeInsertBuilder, "execute", noted)
    return asked


def test_new_rows_are_appended_and_others_left_to_lances_merge(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = lances_merge(monkeypatch)
    store = place.open()
    result = store.merge(VECTORS, made_up(VECTORS, range(10, 20)))
    assert (result.written, result.present, asked) == (5, 5, [])
    found = place.plain(VECTORS)
    assert keys(VECTORS, found.to_table()) == keys(VECTORS, made_up(VECTORS, range(20)))
    found.validate()
    for known, others in ((3, 0), (5, 1)):
        table = made_up("materials", range(known), "x" * others)
        assert store.merge("materials", table, replace=True).written == known
        assert len(asked) == 1 + others  # the first rows of a table, and what takes others' place


# What another writer does between a look at a table and the commit that follows from it.
OTHERS: dict[str, Callable[[Any], Any]] = {
    "merge": lambda table: (
        table.merge_insert(["structure_id"])
        .when_not_matched_insert_all()
        .execute(made_up(VECTORS, [90]).cast(table.schema))
    ),
    "append": lambda table: lance.write_dataset(
        made_up(VECTORS, [90]).cast(table.schema), table.uri, mode="append"
    ),
    "ours": lambda table: appending.append(
        table, made_up(VECTORS, [90]).cast(table.schema), appending.next_fragment(table) or 0
    ),
    "remove": lambda table: table.delete("structure_id = 'structure_id-3'"),
    "update": lambda table: table.update({"run_id": "'x'"}, "structure_id = 'structure_id-3'"),
    "compact": lambda table: table.optimize.compact_files(),
    "restore": lambda table: table.checkout_version(table.version - 1).restore(),
    "columns": lambda table: table.add_columns({"more": "1"}),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_on_top_of_the_newest_rows_is_refused(place: Place, other: str) -> None:
    stale = place.plain(VECTORS)
    rows = made_up(VECTORS, [90]).cast(stale.schema)
    OTHERS[other](place.plain(VECTORS))
    before = place.plain(VECTORS)
    with pytest.raises(OSError, match=r"conflict|concurrent"):
        appending.append(stale, rows, appending.next_fragment(stale) or 0)
    after = place.plain(VECTORS)
    assert (after.version, after.count_rows()) == (before.version, before.count_rows())
    # And the store's own merge begins anew, with what is there now.
    named = SQL("structure_id = 'structure_id-90'")
    if other != "columns":
        place.open().merge(VECTORS, made_up(VECTORS, [90]))
        assert place.plain(VECTORS).count_rows(str(named)) == 1


@pytest.mark.parametrize("other", ["merge", "remove", "update"])
def test_whoever_is_late_after_such_a_commit_begins_anew(place: Place, other: str) -> None:
    stale = place.plain(VECTORS)
    place.open().merge(VECTORS, made_up(VECTORS, [90]))
    OTHERS[other](stale)  # Lance itself does it again on what is there
    found = place.plain(VECTORS).to_table().to_pylist()
    assert [row["structure_id"] for row in found].count("structure_id-90") == 1
    third = [row["run_id"] for row in found if row["structure_id"] == "structure_id-3"]
    assert third == {"remove": [], "update": ["x"]}.get(other, third)


def test_a_key_that_another_writer_inserts_in_between(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = appending.append

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(appending, "append", append)
        place.open().merge(VECTORS, made_up(VECTORS, [15, 16]))
        return append(*arguments)

    monkeypatch.setattr(appending, "append", late)
    monkeypatch.setattr("featurestore.tables.retrying.time.sleep", lambda seconds: None)
    result = place.open().merge(VECTORS, made_up(VECTORS, range(15, 20)))
    assert (result.written, result.present, result.conflicts) == (3, 2, [])
    assert place.plain(VECTORS).count_rows() == 20


def test_a_table_that_was_empty_when_it_was_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.open()
    store.merge("materials", made_up("materials", range(3)))
    store.remove("materials", SQL("true"))
    compared = Tables._compared

    def beaten(self: Tables, *arguments: Any) -> Any:
        result = compared(self, *arguments)
        monkeypatch.setattr(Tables, "_compared", compared)
        place.open().merge("materials", made_up("materials", [0, 1]))
        return result

    monkeypatch.setattr(Tables, "_compared", beaten)
    result = store.merge("materials", made_up("materials", range(4)))
    assert (result.written, result.present, result.conflicts) == (2, 2, [])
    assert place.plain("materials").count_rows() == 4


@pytest.mark.slow
def test_one_that_is_killed_before_its_commit_leaves_the_table_as_it_was(place: Place) -> None:
    together(killed_before_a_commit, place, 1, -signal.SIGKILL)
    before = place.plain(VECTORS)
    assert (before.version, before.count_rows()) == (4, 15)
    assert place.open().merge(VECTORS, made_up(VECTORS, range(20))).written == 5
    assert place.plain(VECTORS).count_rows() == 20


def killed_before_a_commit(place: Place, number: int) -> None:
    """The process ends with its rows on the disk and no version that has them."""
    appending.FEWEST_ROWS = 1
    lance.LanceDataset.commit = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    place.open().merge(VECTORS, made_up(VECTORS, range(20)))


def test_no_fragment_has_the_number_of_one_that_is_gone(place: Place) -> None:
    """An index that has seen the other would take the new one for looked at."""
    place.plain(VECTORS).create_scalar_index("structure_id", "BTREE")
    store = place.open()
    gone = made_up(VECTORS, range(10, 15))["structure_id"].to_pylist()
    store.remove(VECTORS, SQL(f"structure_id IN {tuple(gone)}"))
    assert [f.fragment_id for f in place.plain(VECTORS).get_fragments()] == [0, 1]
    assert store.merge(VECTORS, made_up(VECTORS, range(10, 30))).written == 20
    found = place.plain(VECTORS)
    assert [f.fragment_id for f in found.get_fragments()] == [0, 1, 3]
    assert [index["name"] for index in found.list_indices()] == ["structure_id_idx"]
    for number in (4, 12, 29):
        assert found.count_rows(f"structure_id = 'structure_id-{number}'") == 1


def test_rows_that_were_removed_stay_so_and_columns_that_came_stay(place: Place) -> None:
    store = place.open()
    store.remove(VECTORS, SQL("structure_id = 'structure_id-7'"))
    place.plain(VECTORS).add_columns(pa.schema([pa.field("more", pa.string())]))
    before = place.plain(VECTORS)
    new = made_up(VECTORS, range(20, 23))
    rows = new.append_column("more", pa.array(["a", "b", None], pa.string()))
    appending.append(before, rows.cast(before.schema), appending.next_fragment(before) or 0)
    after = place.plain(VECTORS)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.to_table().slice(0, 14).equals(before.to_table())
    assert after.to_table()["more"].to_pylist() == [None] * 14 + ["a", "b", None]


def test_a_small_table_and_one_that_says_no_number_are_lances(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = place.plain(VECTORS)
    assert appending.next_fragment(table) == 3
    monkeypatch.setattr(appending, "_numbers", lambda message: iter([(3, 7)]))
    assert appending.next_fragment(table) is None
    monkeypatch.undo()
    assert appending.next_fragment(table) is None


def test_a_disk_that_is_full_is_an_error_and_harms_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featurestore.errors import StorageError

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(appending, "append", full)
    with pytest.raises(StorageError, match="No space left on device"):
        place.open().merge(VECTORS, made_up(VECTORS, range(20)))
    assert place.plain(VECTORS).count_rows() == 15


def insert_either_way(place: Place, number: int) -> None:
    """Half of the writers count every table as large."""
    appending.FEWEST_ROWS = 1 + number % 2 * 10**9
    insert(place, number)


@pytest.mark.slow
def test_writers_of_both_ways_at_once(any_place: Place) -> None:
    together(insert_either_way, any_place, 4)
    found = keys(VECTORS, any_place.plain(VECTORS).to_table())
    assert found == keys(VECTORS, made_up(VECTORS, range(30)))
    numbers = [1000 * (number + 1) + row for number in range(4) for row in range(30)]
    found = keys("sentences", any_place.plain("sentences").to_table())
    assert found == keys("sentences", made_up("sentences", numbers))


class LargeStoreAgainstDictionary(StoreAgainstDictionary):
    """The same with tables that all count as large."""

    def __init__(self) -> None:
        super().__init__()
        appending.FEWEST_ROWS = 1

    def teardown(self) -> None:
        appending.FEWEST_ROWS = 100_000
        super().teardown()


TestLargeStoreAgainstDictionary = pytest.mark.slow(LargeStoreAgainstDictionary.TestCase)
TestLargeStoreAgainstDictionary.settings = settings(
    max_examples=12,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_fragments_are_joined_where_there_are_too_many(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "_MOST_FRAGMENTS", 12)
    store = place.open()
    counts = []
    for number in range(20, 36):
        store.merge(VECTORS, made_up(VECTORS, [number]))
        counts.append(len(place.plain(VECTORS).get_fragments()))
    assert counts == [*range(4, 13), 1, *range(2, 8)]
    found = keys(VECTORS, place.plain(VECTORS).to_table())
    assert found == keys(VECTORS, made_up(VECTORS, [*range(15), *range(20, 36)]))
    assert store.merge(VECTORS, made_up(VECTORS, range(36))).written == 5


def test_a_second_write_reads_no_keys_again(place: Place) -> None:
    store: FeatureStore = place.open()
    tables = store._tables
    for first in (100, 200, 300):
        store.merge(VECTORS, made_up(VECTORS, range(first, first + 5)))
    known = len(tables._seen._hashes)
    # Of the first write nothing is kept; then each fragment once, the last write's not yet.
    assert known == len(place.plain(VECTORS).get_fragments()) - 1
    again = store.merge(VECTORS, made_up(VECTORS, [0, 102, 304, 305]))
    assert (again.written, again.present) == (1, 3)
