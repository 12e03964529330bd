"""Any sequence of writes, snapshots and clean-ups leaves what a plain dictionary would hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tiers import few

from featurestore.errors import ConflictError, ReadOnlyStoreError, UnknownNameError
from featurestore.history.differences import TableDifference
from featurestore.store import FeatureStore
from featurestore.testing.rows import EMBEDDINGS, expected, made_up
from featurestore.upkeep.maintenance import maintain

# A key of one column, a key of three, and a table whose first row stands whatever comes later.
TABLES = ("materials", "properties", EMBEDDINGS[0])
Rows = dict[tuple[Any, ...], dict[str, Any]]
State = dict[str, Rows]

tables = st.sampled_from(TABLES)
numbers = st.sets(st.integers(0, 9), min_size=1, max_size=5)
names = st.sampled_from(["first", "second", "third"])


def rows_of(table: str, numbers: set[int], salt: str = "") -> pa.Table:
    """Made-up rows; of a key of several columns, the first alone names no row."""
    rows = made_up(table, sorted(numbers), salt)
    first = expected(table).key[0]
    if len(expected(table).key) == 1:
        return rows
    shared = pa.array([f"{first}-{number % 3}" for number in sorted(numbers)])
    return rows.set_column(rows.column_names.index(first), first, shared)


def by_key(table: str, rows: pa.Table) -> Rows:
    """The rows by key; two with the same key fail."""
    keys = [tuple(row[name] for name in expected(table).key) for row in rows.to_pylist()]
    assert len(set(keys)) == len(keys), f"{table} has a key twice: {keys}"
    return dict(zip(keys, rows.to_pylist(), strict=True))


def differing(before: State, after: State) -> list[TableDifference]:
    """What a restoration of ``after`` has to change, as `FeatureStore.restoration` says it."""
    found = []
    for table in sorted(before.keys() | after.keys()):
        old, new = before.get(table, {}), after.get(table, {})
        changed = [key for key in old.keys() & new.keys() if content(old[key]) != content(new[key])]
        difference = TableDifference(
            table, len(new.keys() - old.keys()), len(changed), len(old.keys() - new.keys())
        )
        found += [difference] if difference else []
    return found


def content(row: dict[str, Any]) -> dict[str, Any]:
    """The row without who wrote it."""
    return {name: value for name, value in row.items() if name != "run_id"}


class StoreAgainstDictionary(RuleBasedStateMachine):
    """The store and, beside it, for each table a dictionary from key to row."""

    snapshots = Bundle("snapshots")

    @initialize(target=snapshots)
    def begin(self) -> str:
        """From an empty store with a snapshot: a restoration of it empties what came later."""
        self.folder = tempfile.TemporaryDirectory()
        self.place = Path(self.folder.name) / "store"
        self.store = FeatureStore.open(self.place, create=True)
        self.present: State = {}
        self.store.create_snapshot("first")
        self.named: dict[str, State] = {"first": {}}
        return "first"

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(table=tables, numbers=numbers, salt=st.sampled_from(["", "x"]), replace=st.booleans())
    def merge(self, table: str, numbers: set[int], salt: str, replace: bool) -> None:
        rows = rows_of(table, numbers, salt)
        there = self.present.setdefault(table, {})
        written, conflicts = 0, []
        for key, row in by_key(table, rows).items():
            differs = key in there and any(
                row[name] != there[key][name] for name in expected(table).content
            )
            if key not in there or (differs and replace):
                there[key] = row
                written += 1
            elif differs:
                conflicts.append(dict(zip(expected(table).key, key, strict=True)))
        result = self.store.merge(table, rows, replace=replace)
        assert result.written == written
        assert result.present == rows.num_rows - written - len(conflicts)
        assert sorted(map(str, result.conflicts)) == sorted(map(str, conflicts))

    @rule(table=tables, numbers=numbers)
    def remove(self, table: str, numbers: set[int]) -> None:
        column = expected(table).key[0]
        going = {f"{column}-{number}" for number in numbers}
        among = ", ".join(f"'{value}'" for value in sorted(going))
        self.store.remove(table, f"{column} IN ({among})")
        if table in self.present:
            kept = {key: row for key, row in self.present[table].items() if key[0] not in going}
            self.present[table] = kept

    @rule(target=snapshots, name=names)
    def create_snapshot(self, name: str) -> str:
        if name in self.named:
            with pytest.raises(ConflictError, match=name):
                self.store.create_snapshot(name)
        else:
            made = self.store.create_snapshot(name)
            self.named[name] = {table: dict(rows) for table, rows in self.present.items()}
            sizes = {table: len(rows) for table, rows in self.named[name].items()}
            assert {table: n for table, n in made.rows.items() if table != "runs"} == sizes
        return name

    @rule(name=consumes(snapshots))
    def delete_snapshot(self, name: str) -> None:
        if name in self.named:
            self.store.delete_snapshot(name)
            del self.named[name]
        else:
            with pytest.raises(UnknownNameError, match=name):
                self.store.delete_snapshot(name)

    @rule(name=snapshots)
    def restore_snapshot(self, name: str) -> None:
        if name not in self.named:
            with pytest.raises(UnknownNameError, match=name):
                self.store.restore_snapshot(name)
            return
        wanted = differing(self.present, self.named[name])
        assert self.store.restoration(name) == wanted
        assert self.store.restore_snapshot(name) == wanted
        for change in wanted:
            self.present[change.table] = dict(self.named[name].get(change.table, {}))

    @rule(name=snapshots, table=tables)
    def read_at_a_snapshot(self, name: str, table: str) -> None:
        if name not in self.named:
            return
        past = FeatureStore.open(self.place, at=name)
        assert set(past.tables()) - {"runs"} == set(self.named[name])
        dataset = past.dataset(table)
        there = self.named[name].get(table)
        if there is None:
            assert dataset is None
        else:
            assert by_key(table, dataset.to_table()) == there
            found = past.sql(f'FROM "{table}"')
            assert by_key(table, found.select(expected(table).schema.names)) == there
        with pytest.raises(ReadOnlyStoreError, match=name):
            past.merge(table, rows_of(table, {0}))

    @rule(table=tables)
    def compact(self, table: str) -> None:
        self.store.compact(table)

    @rule()
    def maintain(self) -> None:
        done = maintain(self.store, keep_days=0)
        assert {entry.note for entry in done} <= {""}
        assert {entry.fragments_after for entry in done} <= {0, 1}

    @rule()
    def reopen(self) -> None:
        self.store = FeatureStore.open(self.place, create=True)

    @invariant()
    def what_is_there_is_what_the_dictionary_holds(self) -> None:
        if not hasattr(self, "present"):
            return
        assert set(self.store.tables()) - {"runs", "snapshots"} == set(self.present)
        for table, rows in self.present.items():
            assert by_key(table, self.plain(table, None)) == rows

    @invariant()
    def snapshots_are_what_was_there(self) -> None:
        if not hasattr(self, "named"):
            return
        listed = self.store.snapshots()
        assert {snapshot.name for snapshot in listed} == set(self.named)
        for snapshot in listed:
            for table, rows in self.named[snapshot.name].items():
                assert by_key(table, self.plain(table, snapshot.tag)) == rows

    def plain(self, table: str, version: str | None) -> pa.Table:
        """A table as Lance sees it, by no code of the store."""
        return lance.dataset(f"{self.place}/{table}.lance", version=version).to_table()


@pytest.mark.parametrize("examples", few([4, 12], 1))
def test_the_store_is_its_dictionary(examples: int) -> None:
    run_state_machine_as_test(
        StoreAgainstDictionary,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
