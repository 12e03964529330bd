"""What every backend of the store must do, checked by plain Lance reads beside the store's code.

A backend subclasses `StoreContract` and gives a ``place`` fixture.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lance
import pyarrow as pa
import pytest

from featurestore.errors import InvalidRowsError, StorageError, StoreNotFoundError, UnknownNameError
from featurestore.quoting import identifier
from featurestore.store import FeatureStore
from featurestore.testing.rows import ALL_TABLES, EMBEDDINGS, WIDTH, expected, made_up

KEY_MARK = b"lance-schema:unenforced-primary-key"
VECTORS = EMBEDDINGS[0]


@dataclass(frozen=True)
class Place:
    """Where a store is: a folder, or a bucket that the environment has credentials for."""

    uri: str

    def open(self, create: bool = True) -> FeatureStore:
        return FeatureStore.open(self.uri, create=create)

    def plain(self, table: str, version: int | str | None = None) -> Any:
        """The table as Lance sees it, by no code of the store."""
        options = {"allow_http": "true"} if "://" in self.uri else None
        return lance.dataset(f"{self.uri}/{table}.lance", version, storage_options=options)


class StoreContract:
    """Tests that hold for every backend."""

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    @pytest.fixture
    def store(self, place: Place) -> FeatureStore:
        return place.open()

    @pytest.mark.parametrize("table", ALL_TABLES)
    def test_first_merge_creates_the_table(
        self, place: Place, store: FeatureStore, table: str
    ) -> None:
        rows = made_up(table, range(3))
        result = store.merge(table, rows)
        assert (result.written, result.present, result.conflicts) == (3, 0, [])
        plain = place.plain(table)
        assert (
            plain.to_table()
            .sort_by(expected(table).key[0])
            .equals(rows.sort_by(expected(table).key[0]))
        )
        assert store.tables() == [table]

    @pytest.mark.parametrize("table", ALL_TABLES)
    def test_schema_is_kept_with_marks_on_the_key(
        self, place: Place, store: FeatureStore, table: str
    ) -> None:
        store.merge(table, made_up(table, range(1)))
        found = place.plain(table).schema
        assert found.equals(expected(table).schema)
        marked = {column.name for column in found if KEY_MARK in (column.metadata or {})}
        assert marked == set(expected(table).key)

    @pytest.mark.parametrize("table", ALL_TABLES)
    def test_repeated_merge_makes_no_version(
        self, place: Place, store: FeatureStore, table: str
    ) -> None:
        rows = made_up(table, range(3))
        store.merge(table, rows)
        before = place.plain(table).version
        for again in (rows, rows.slice(1), rows.slice(0, 0)):
            result = store.merge(table, again)
            assert (result.written, result.present) == (0, again.num_rows)
        assert place.plain(table).version == before

    @pytest.mark.parametrize("table", ALL_TABLES)
    def test_merge_inserts_the_new_and_keeps_what_is_there(
        self, place: Place, store: FeatureStore, table: str
    ) -> None:
        content = expected(table).content
        store.merge(table, made_up(table, range(4)))
        result = store.merge(table, made_up(table, range(2, 6), salt="other"))
        assert result.written == 2
        assert result.present == (0 if content else 2)
        assert len(result.conflicts) == (2 if content else 0)
        there = place.plain(table).to_table()
        wanted = pa.concat_tables([made_up(table, range(4)), made_up(table, [4, 5], "other")])
        by = [(name, "ascending") for name in expected(table).key]
        assert there.sort_by(by).equals(wanted.sort_by(by))
        assert [sorted(row) for row in result.conflicts] == [sorted(expected(table).key)] * len(
            result.conflicts
        )

    @pytest.mark.parametrize("table", [name for name in ALL_TABLES if expected(name).content])
    def test_replace_takes_the_place_of_other_content(
        self, place: Place, store: FeatureStore, table: str
    ) -> None:
        store.merge(table, made_up(table, range(4)))
        result = store.merge(table, made_up(table, range(2, 5), salt="other"), replace=True)
        assert (result.written, result.present, result.conflicts) == (3, 0, [])
        there = place.plain(table).to_table()
        wanted = pa.concat_tables([made_up(table, range(2)), made_up(table, range(2, 5), "other")])
        by = [(name, "ascending") for name in expected(table).key]
        assert there.sort_by(by).equals(wanted.sort_by(by))
        before = place.plain(table).version
        store.merge(table, made_up(table, range(2, 5), salt="other"), replace=True)
        assert place.plain(table).version == before

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda t: t.drop_columns(["run_id"]), r"lacks \['run_id'\]"),
            (lambda t: t.append_column("more", t["run_id"]), r"unexpected \['more'\]"),
            (lambda t: _with(t, "structure_id", ["a", None, "c"]), "1 nulls"),
            (lambda t: _with(t, "structure_id", ["a", "", "c"]), "is empty"),
            (lambda t: _with(t, "structure_id", ["a", "b", "a"]), "more than once.*'a'"),
            (lambda t: _with_vectors(t, [[0.0] * 5] * 3), "width 4.*these have width 5"),
            (lambda t: _with_vectors(t, [[0.0] * 4, [1, 2, float("nan"), 3], [0.0] * 4]), "NaN"),
            (lambda t: _with_vectors(t, [[0.0] * 4, [0.0] * 4, [float("inf")] * 4]), "infinite"),
            (lambda t: _with(t, "vector", ["a", "b", "c"]), "column 'vector'"),
        ],
    )
    def test_invalid_rows_are_refused_whole(
        self, place: Place, store: FeatureStore, spoil: Callable[[pa.Table], pa.Table], message: str
    ) -> None:
        store.merge(VECTORS, made_up(VECTORS, [100]))
        version = place.plain(VECTORS).version
        with pytest.raises(InvalidRowsError, match=message):
            store.merge(VECTORS, spoil(made_up(VECTORS, range(3))))
        assert place.plain(VECTORS).version == version
        assert place.plain(VECTORS).count_rows() == 1

    def test_invalid_first_rows_make_no_table(self, store: FeatureStore) -> None:
        rows = made_up("properties", range(2))
        with pytest.raises(InvalidRowsError, match=r"first at .*material_id-1"):
            store.merge("properties", _with(rows, "value", [1.0, float("-inf")]))
        assert store.tables() == []

    def test_a_table_the_design_does_not_have(self, store: FeatureStore) -> None:
        with pytest.raises(UnknownNameError, match="materials"):
            store.merge("material", made_up("materials", range(1)))

    def test_rows_as_dictionaries_are_checked_too(self, store: FeatureStore) -> None:
        row = made_up("splits", [1]).to_pylist()[0]
        for wrong, message in (
            (row | {"more": 1}, r"unexpected \['more'\]"),
            (row | {"fold": 3}, "splits"),
            ({k: v for k, v in row.items() if k != "fold"}, "'fold'.*1 nulls"),
        ):
            with pytest.raises(InvalidRowsError, match=message):
                store.merge_rows("splits", [wrong])
        assert store.tables() == []

    def test_a_store_is_not_there_until_it_holds_something(self, place: Place) -> None:
        with pytest.raises(StoreNotFoundError, match="ingest structures"):
            place.open(create=False)
        store = place.open()
        assert store.tables() == []
        assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [0]
        store.merge("materials", made_up("materials", range(1)))
        assert place.open(create=False).tables() == ["materials"]

    def test_a_reader_sees_whole_batches(self, place: Place, store: FeatureStore) -> None:
        size, batches = 50, 12
        store.merge(VECTORS, made_up(VECTORS, range(size)))

        def write() -> None:
            for batch in range(1, batches):
                store.merge(VECTORS, made_up(VECTORS, range(batch * size, (batch + 1) * size)))

        writer = threading.Thread(target=write)
        writer.start()
        seen = {size}
        while writer.is_alive():
            seen.add(
                place.open().sql(f"SELECT count(*) AS n FROM {identifier(VECTORS)}")["n"][0].as_py()
            )
        writer.join()
        seen.add(place.plain(VECTORS).count_rows())
        assert max(seen) == size * batches
        assert all(count % size == 0 for count in seen), seen

    def test_a_session_stays_at_its_versions(self, store: FeatureStore) -> None:
        store.merge("splits", made_up("splits", range(2)))
        with store.session() as session:
            store.merge("splits", made_up("splits", range(2, 5)))
            assert session.query("SELECT count(*) AS n FROM splits")["n"].to_pylist() == [2]
            seen = session.dataset("splits")
            assert seen is not None and seen.version == session.versions["splits"]
        assert store.sql("SELECT count(*) AS n FROM splits")["n"].to_pylist() == [5]

    def test_compaction_keeps_rows_and_earlier_versions(
        self, place: Place, store: FeatureStore
    ) -> None:
        for number in range(10):
            store.merge(VECTORS, made_up(VECTORS, [number]))
        before = place.plain(VECTORS)
        assert len(before.get_fragments()) == 10
        store.compact(VECTORS)
        after = place.plain(VECTORS)
        assert len(after.get_fragments()) == 1
        assert (
            after.to_table()
            .sort_by("structure_id")
            .equals(before.to_table().sort_by("structure_id"))
        )
        assert place.plain(VECTORS).checkout_version(before.version).count_rows() == 10
        store.compact(VECTORS)
        assert place.plain(VECTORS).version == after.version
        store.compact("materials")  # a table that does not exist yet is compact

    def test_refusal_of_the_storage_is_an_error_and_harms_nothing(
        self, place: Place, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from lance.dataset import MergeInsertBuilder

        store.merge("splits", made_up("splits", range(3)))

        def full(*_: Any, **__: Any) -> None:
            raise OSError("No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(MergeInsertBuilder, "execute", full)
            with pytest.raises(StorageError, match=r"'splits' in .*No space left on device"):
                store.merge("splits", made_up("splits", range(3, 6)))
            with pytest.raises(StorageError, match="'materials'"):
                store.merge("materials", made_up("materials", range(1)))
        assert place.plain("splits").count_rows() == 3
        store = place.open(create=False)
        assert store.sql("SELECT count(*) AS n FROM splits")["n"].to_pylist() == [3]
        assert store.merge("splits", made_up("splits", range(6))).written == 3


def _with(rows: pa.Table, column: str, values: list[Any]) -> pa.Table:
    return rows.set_column(rows.column_names.index(column), column, pa.array(values))


def _with_vectors(rows: pa.Table, vectors: list[list[float]]) -> pa.Table:
    flat = pa.array([value for vector in vectors for value in vector], pa.float32())
    width = len(vectors[0])
    assert width in (WIDTH, WIDTH + 1)
    position = rows.column_names.index("vector")
    return rows.set_column(position, "vector", pa.FixedSizeListArray.from_arrays(flat, width))
