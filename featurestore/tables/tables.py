"""Reading and writing one Lance table: validated, atomic, merged by key."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from featurestore.errors import ReadOnlyStoreError, StorageError
from featurestore.quoting import SQL
from featurestore.tables import appending
from featurestore.tables.comparison import compared
from featurestore.tables.retrying import is_conflict, retrying
from featurestore.tables.schema_version import check_not_newer
from featurestore.tables.schemas import TableSchema, table_schema
from featurestore.tables.seen_keys import SeenKeys
from featurestore.tables.storage import Storage, storage_errors
from featurestore.tables.validation import validated
from featurestore.tables.verdicts import Verdicts

# Lance treats columns so marked as a key: two writers that merge the same new key at the same time
# are then serialised instead of both inserting it.
_KEY_MARK = {b"lance-schema:unenforced-primary-key": b"true"}

_SECONDS_FOR_COMPACTION = 5.0
_FRAGMENTS_TO_JOIN = 8
_INDEX_CACHE = 2**30
_METADATA_CACHE = 2**28


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
    storage : Storage
        Where they are.
    versions : mapping of str to int
        The version at which each table is seen, for a store as of a snapshot or a time: other
        tables are absent and nothing can be written. None: all tables, always the newest version.
    seen_at : str
        Name of the snapshot or the time, for errors.
    is_temporary : bool
        Whether the folder is gone after the call: its tables are made without LanceDB, whose import
        takes longer than to predict a material.
    """

    def __init__(
        self,
        storage: Storage,
        versions: Mapping[str, int] | None = None,
        seen_at: str = "",
        *,
        is_temporary: bool = False,
    ) -> None:
        self.storage = storage
        self.uri = storage.uri
        self.seen_at = seen_at
        self._is_temporary = is_temporary
        self._versions = None if versions is None else dict(versions)
        self.verdicts = Verdicts()
        #: The version of each table after the last write through this object; the record of runs
        #: is left out.
        self.written: dict[str, int] = {}
        self._seen = SeenKeys()
        self._compared_before: set[str] = set()
        self._in_pieces: set[str] = set()

    @property
    def is_past(self) -> bool:
        """Whether these are the tables as of a snapshot or a time."""
        return self._versions is not None

    @cached_property
    def _database(self) -> Any:
        import lancedb  # takes a second: only who makes a table needs it

        return lancedb.connect(
            self.uri,
            read_consistency_interval=timedelta(0),
            storage_options=self.storage.lance_options,
        )

    @cached_property
    def _session(self) -> Any:
        """What Lance keeps of files that never change, from one opening of a table to the next."""
        import lance

        return lance.Session(
            index_cache_size_bytes=_INDEX_CACHE, metadata_cache_size_bytes=_METADATA_CACHE
        )

    def _access(self, action: str, name: str) -> AbstractContextManager[None]:
        hint = (
            "Its files are damaged or out of reach: mend permissions or restore a copy"
            if action == "read"
            else "What was committed before is intact; free space or mend permissions there "
            "and run the command again"
        )
        return storage_errors(f"{action} table {name!r} in {self.uri}", hint)

    def names(self) -> list[str]:
        """Names of the tables that exist, sorted."""
        if self._versions is not None:
            return sorted(self._versions)
        return self.storage.table_names()

    def dataset(self, name: str) -> Any | None:
        """The table as a ``lance.LanceDataset``; None where it does not exist.

        That is its newest version, or the one of the snapshot or time the store is seen at.
        """
        if self._versions is None:
            return self.dataset_at(name, None)
        if name not in self._versions:
            return None
        dataset = self.dataset_at(name, self._versions[name])
        if dataset is None:
            raise StorageError(
                f"version {self._versions[name]} of table {name!r} in {self.uri}, which "
                f"{self.seen_at} needs, is no longer there"
            )
        return dataset

    def dataset_at(self, name: str, version: int | str | None) -> Any | None:
        """A version of a table by number or tag, the newest for None; None where there is none.

        Of a bucket nothing that never changes is read twice; on a disk who reads shares nothing,
        and counts what it reads.
        """
        return self._opened(name, version, None if self.storage.is_local else self._session)

    def for_writing(self, name: str) -> Any | None:
        """The newest version for a write; None where there is no table.

        Writes open a table several times and share what they have read of it.
        """
        return self._opened(name, None, self._session)

    def _opened(self, name: str, version: int | str | None, session: Any) -> Any | None:
        import lance

        with self._access("read", name):
            try:
                dataset = lance.dataset(
                    self.storage.table_uri(name),
                    version=version,
                    storage_options=self.storage.lance_options,
                    session=session,
                )
            except ValueError as error:
                # Likewise the folder without a version that a process killed in making it leaves.
                if "not found" in str(error):
                    return None
                raise
        check_not_newer(dataset, name, self.uri)
        return dataset

    def writable(self) -> None:
        """Raise if this is a store as of a snapshot or a time.

        Raises
        ------
        ReadOnlyStoreError
            Naming the snapshot or time.
        """
        if self._versions is not None:
            raise ReadOnlyStoreError(
                f"the store {self.uri} was opened as of {self.seen_at} and can only be read; "
                "write to it without --at (at=…)"
            )

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
        ReadOnlyStoreError
            If the store is seen as of a snapshot or a time.
        """
        self.writable()
        expected = self._expected(name, rows)
        rows = validated(rows, expected)
        if not rows.num_rows:
            return MergeResult(0, 0)
        with self._access("write", name):
            result = retrying(lambda: self._merged(name, rows, expected, replace))
        if name in self._in_pieces:
            self._in_pieces.discard(name)
            self.compact(name)
        return result

    def _merged(
        self, name: str, rows: pa.Table, expected: TableSchema, replace: bool
    ) -> MergeResult:
        self._add_new_columns(name, expected)
        dataset = self.for_writing(name)
        new, changed = self._compared(rows, dataset, expected)
        present = rows.num_rows - len(new) - len(changed)
        chosen = pa.concat_arrays([new, changed]) if replace else new
        written = 0
        if len(chosen):
            without_them = None if len(chosen) > len(new) else dataset
            written = self._commit(name, rows.take(chosen), expected, replace, without_them)
        if not replace and written < len(chosen):
            # Another writer was first with some of them; what it wrote may differ.
            _, changed = self._compared(rows, self.for_writing(name), expected)
            present = rows.num_rows - written - len(changed)
        conflicts = [] if replace else rows.select(list(expected.key)).take(changed).to_pylist()
        return MergeResult(written, present, conflicts)

    def _add_new_columns(self, name: str, expected: TableSchema) -> None:
        """Give a table of an earlier schema the nullable columns that were declared since."""
        dataset = self.for_writing(name)
        if dataset is None:
            return
        added = [
            column
            for column in expected.schema
            if column.nullable and column.name not in dataset.schema.names
        ]
        if added:
            dataset.add_columns(pa.schema(added))

    def delete(self, name: str, condition: SQL) -> None:
        """Remove the rows for which the SQL ``condition`` holds, in one atomic commit."""
        self.writable()
        if self.for_writing(name) is not None:
            with self._access("delete from", name):
                retrying(lambda: self._existing(name).delete(condition))
            self._note_written(name)

    def update(self, name: str, condition: SQL, values: Mapping[str, SQL]) -> None:
        """Give columns other values where the SQL ``condition`` holds, in one atomic commit.

        Parameters
        ----------
        values : mapping of str to SQL
            By column an expression over the row as it was. Keys have to stay unique.
        """
        self.writable()
        if self.for_writing(name) is not None:
            with self._access("write", name):
                retrying(lambda: self._existing(name).update(dict(values), where=condition))
            self._note_written(name)

    def restore(self, name: str, version: int | str) -> None:
        """Make the content of an earlier version the newest one, as a commit of its own."""
        self.writable()

        def commit() -> None:
            dataset = self.dataset_at(name, version)
            if dataset is None:
                raise ValueError(f"it has no version {version}")
            dataset.restore()

        with self._access("restore", name):
            retrying(commit)
        self._note_written(name)

    def _existing(self, name: str) -> Any:
        """The newest version of a table that was there a moment ago."""
        dataset = self.for_writing(name)
        if dataset is None:
            raise StorageError(f"table {name!r} in {self.uri} is gone; was the store removed?")
        return dataset

    def _note_written(self, name: str) -> None:
        dataset = self.for_writing(name)
        if dataset is not None and name != "runs":
            self.written[name] = dataset.version

    def compact(self, name: str) -> bool:
        """Join small fragments into larger ones; rows and earlier versions stay as they are.

        Returns
        -------
        bool
            False if other writers were in the way each time: it is left for another run.
        """
        self.writable()

        def commit() -> None:
            dataset = self.for_writing(name)
            if dataset is not None and len(dataset.get_fragments()) > _FRAGMENTS_TO_JOIN:
                dataset.optimize.compact_files()

        with self._access("compact", name):
            try:
                retrying(commit, seconds=_SECONDS_FOR_COMPACTION)
            except (OSError, RuntimeError, ValueError) as error:
                if not is_conflict(error):
                    raise
                return False
        return True

    def _expected(self, name: str, rows: pa.Table) -> TableSchema:
        existing = self.for_writing(name)
        dimension = None
        if existing is not None and "vector" in existing.schema.names:
            dimension = existing.schema.field("vector").type.list_size
        elif "vector" in rows.column_names:
            dimension = getattr(rows.schema.field("vector").type, "list_size", None)
        return table_schema(name, dimension)

    def _compared(
        self, rows: pa.Table, dataset: Any | None, expected: TableSchema
    ) -> tuple[pa.Array, pa.Array]:
        """Numbers of the rows whose key is new, and of those whose content would change."""
        with self._access("read", expected.name):
            return compared(rows, dataset, expected, self._known_keys(expected.name, dataset))

    def _make(self, name: str, schema: pa.Schema) -> None:
        """Make an empty table unless there is one by now."""
        if not self._is_temporary:
            self._database.create_table(name, schema=schema, exist_ok=True)
            return
        import lance

        lance.write_dataset(schema.empty_table(), self.storage.table_uri(name))

    def _known_keys(self, name: str, dataset: Any | None) -> SeenKeys | None:
        """What is known of a table's keys; of a small one, or for a first write, nothing need be.

        On a disk to make hashes of keys takes longer than to read these once.
        """
        is_first = name not in self._compared_before
        self._compared_before.add(name)
        is_small = dataset is None or dataset.count_rows() < appending.FEWEST_ROWS
        return None if self.storage.is_local and (is_first or is_small) else self._seen

    def _commit(
        self,
        name: str,
        rows: pa.Table,
        expected: TableSchema,
        replace: bool,
        without_them: Any | None,
    ) -> int:
        """The number of rows written; ``without_them`` is a version that has none of their keys."""
        if self.for_writing(name) is None:
            marked = pa.schema(
                [
                    column.with_metadata(_KEY_MARK) if column.name in expected.key else column
                    for column in expected.schema
                ]
            )
            self._make(name, marked)
        # Not by its truth: a version without rows is false.
        dataset = self._existing(name) if without_them is None else without_them
        stored = dataset.schema  # columns that were declared later stand at its end
        unknown = sorted(set(stored.names) - set(expected.schema.names))
        if unknown:
            raise StorageError(
                f"table {name!r} in {self.uri} has columns {unknown}, which this version of the "
                "package does not know; write with the version that added them"
            )
        rows = rows.select(stored.names).cast(stored)
        number = None if without_them is None else appending.next_fragment(dataset)
        if number is not None:
            dataset, written = appending.append(dataset, rows, number), rows.num_rows
            if appending.has_too_many_fragments(dataset):
                self._in_pieces.add(name)
        else:
            merge = dataset.merge_insert(list(expected.key)).when_not_matched_insert_all()
            if replace:
                merge = merge.when_matched_update_all()
            result = merge.execute(rows)
            written = result["num_inserted_rows"] + result["num_updated_rows"]
        if name != "runs":
            self.written[name] = int(dataset.version)
        return int(written)
