"""Reading and writing one Lance table: validated, atomic, merged by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import StorageError
from featurestore.schemas import TableSchema, table_schema
from featurestore.validation import validated

# Lance treats columns so marked as a key: two writers that merge the same new key at the same time
# are then serialised instead of both inserting it.
_KEY_MARK = {b"lance-schema:unenforced-primary-key": b"true"}


@dataclass(frozen=True)
class MergeResult:
    """What a merge did with the rows it was given.

    Parameters
    ----------
    written : int
        Rows that are new in the table, or replaced.
    present : int
        Rows that were there already with the same content.
    conflicts : list of dict
        Keys that are in the table with other content; those rows were not written.
    """

    written: int
    present: int
    conflicts: list[dict[str, Any]] = field(default_factory=list)


class Tables:
    """The Lance tables in one folder or bucket prefix.

    Parameters
    ----------
    uri : str
        Folder of the store.
    storage_options : mapping of str to str
        Options of an object store, handed to Lance.
    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.uri = uri
        self._storage_options = dict(storage_options or {})

    @cached_property
    def _database(self) -> Any:
        import lancedb  # takes over a second: readers never need it

        return lancedb.connect(
            self.uri,
            read_consistency_interval=timedelta(0),
            storage_options=self._storage_options or None,
        )

    @contextmanager
    def _storage(self, action: str, name: str) -> Iterator[None]:
        try:
            yield
        # Lance raises any of these, a ValueError for a damaged file among them.
        except (OSError, RuntimeError, ValueError) as error:
            hint = (
                "Its files are damaged or out of reach: mend permissions or restore a copy"
                if action == "read"
                else "What was committed before is intact; free space or mend permissions there "
                "and run the command again"
            )
            raise StorageError(
                f"cannot {action} table {name!r} in {self.uri}: {error}. {hint}"
            ) from error

    def names(self) -> list[str]:
        """Names of the tables that exist, sorted."""
        from pyarrow import fs

        filesystem, path = (
            fs.FileSystem.from_uri(self.uri)
            if "://" in self.uri
            else (
                fs.LocalFileSystem(),
                self.uri,
            )
        )
        try:
            entries = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        except OSError as error:
            raise StorageError(f"cannot list the tables in {self.uri}: {error}") from error
        return sorted(
            entry.base_name.removesuffix(".lance")
            for entry in entries
            if entry.base_name.endswith(".lance")
        )

    def dataset(self, name: str) -> Any | None:
        """The table's newest version as a ``lance.LanceDataset``; None where it does not exist."""
        import lance

        with self._storage("read", name):
            try:
                return lance.dataset(
                    f"{self.uri}/{name}.lance", storage_options=self._storage_options or None
                )
            except ValueError as error:
                # Likewise the folder without a version that a process killed in making it leaves.
                if "not found" in str(error):
                    return None
                raise

    def merge(self, name: str, rows: pa.Table, *, replace: bool = False) -> MergeResult:
        """Insert the rows whose key is new, in one atomic commit; nothing new, no commit.

        Parameters
        ----------
        name : str
            Table name; it is created when its first rows come.
        rows : pyarrow.Table
            Columns as in the table's schema, in any order.
        replace : bool
            Whether a row whose key is present with other content takes the place of what is there.

        Raises
        ------
        InvalidRowsError
            If the rows break the schema; nothing is written then.
        StorageError
            If the storage refuses; nothing of this merge is visible then.
        """
        expected = self._expected(name, rows)
        rows = validated(rows, expected)
        if not rows.num_rows:
            return MergeResult(0, 0)
        new, changed = self._compared(rows, expected)
        present = rows.num_rows - len(new) - len(changed)
        conflicts = [] if replace else rows.select(list(expected.key)).take(changed).to_pylist()
        chosen = pa.concat_arrays([new, changed]) if replace else new
        written = self._commit(name, rows.take(chosen), expected, replace) if len(chosen) else 0
        return MergeResult(written, present, conflicts)

    def delete(self, name: str, condition: str) -> None:
        """Remove the rows for which the SQL ``condition`` holds, in one atomic commit."""
        if self.dataset(name) is not None:
            with self._storage("delete from", name):
                self._database.open_table(name).delete(condition)

    def compact(self, name: str) -> None:
        """Join small fragments into larger ones; rows and earlier versions stay as they are."""
        dataset = self.dataset(name)
        if dataset is not None and len(dataset.get_fragments()) > 8:
            with self._storage("compact", name):
                dataset.optimize.compact_files()

    def _expected(self, name: str, rows: pa.Table) -> TableSchema:
        existing = self.dataset(name)
        dimension = None
        if existing is not None and "vector" in existing.schema.names:
            dimension = existing.schema.field("vector").type.list_size
        elif "vector" in rows.column_names:
            dimension = getattr(rows.schema.field("vector").type, "list_size", None)
        return table_schema(name, dimension)

    def _compared(self, rows: pa.Table, expected: TableSchema) -> tuple[pa.Array, pa.Array]:
        """Numbers of the rows whose key is new, and of those whose content would change."""
        key, content = list(expected.key), list(expected.content)
        numbered = rows.select(key + content).append_column(
            "__row", pa.array(range(rows.num_rows), pa.int64())
        )
        dataset = self.dataset(expected.name)
        if dataset is None:
            return numbered["__row"].combine_chunks(), pa.array([], pa.int64())
        with self._storage("read", expected.name):
            there = dataset.to_table(columns=key + content)
        new = numbered.select([*key, "__row"]).join(there.select(key), key, join_type="left anti")
        pairs = numbered.join(there, key, join_type="inner", right_suffix="__there")
        differs = pa.chunked_array([pa.repeat(False, pairs.num_rows)])
        for column in content:
            differs = pc.or_(differs, pc.not_equal(pairs[column], pairs[column + "__there"]))
        return _sorted(new["__row"]), _sorted(pairs["__row"].filter(differs))

    def _commit(self, name: str, rows: pa.Table, expected: TableSchema, replace: bool) -> int:
        marked = pa.schema(
            [
                column.with_metadata(_KEY_MARK) if column.name in expected.key else column
                for column in expected.schema
            ]
        )
        with self._storage("write", name):
            table = self._database.create_table(name, schema=marked, exist_ok=True)
            merge = table.merge_insert(list(expected.key)).when_not_matched_insert_all()
            if replace:
                merge = merge.when_matched_update_all()
            result = merge.execute(rows.cast(marked))
        return int(result.num_inserted_rows + result.num_updated_rows)


def _sorted(numbers: pa.ChunkedArray) -> pa.Array:
    return numbers.combine_chunks().sort()
