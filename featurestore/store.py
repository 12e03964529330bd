"""The one object a program needs: opens a store, reads views and queries, merges rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featurestore.errors import InvalidRowsError, StoreNotFoundError
from featurestore.failure import Failure
from featurestore.history.differences import TableDifference, compare
from featurestore.history.snapshots import (
    Snapshot,
    check_new_name,
    create_snapshot,
    delete_snapshot,
    find_snapshot,
    list_snapshots,
    restoration,
    restore_snapshot,
)
from featurestore.history.versions import tables_at
from featurestore.output.display import Showing, Shown
from featurestore.query.limits import SqlLimits
from featurestore.query.result import QueryResult
from featurestore.quoting import SQL, quoted
from featurestore.redaction import redacted
from featurestore.session import Parameters, Session
from featurestore.stored_structures import stored_crystal
from featurestore.summary import summarise
from featurestore.tables.runs import Run, record_ended, recorded_run
from featurestore.tables.schemas import table_schema
from featurestore.tables.storage import Storage
from featurestore.tables.tables import MergeResult, Tables
from featurestore.views.parameters import resolve
from featurestore.views.request import ViewRequest
from featurestore.views.view import TrainingView, select_view

if TYPE_CHECKING:
    from featurestore.crystal import Crystal
    from featurestore.search.searcher import Search


class FeatureStore(Shown):
    """A folder (or bucket prefix) of LanceDB tables with SQL over them.

    Use `FeatureStore.open`.

    Attributes
    ----------
    uri : str
        Where the tables are.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.uri = tables.uri

    @classmethod
    def open(
        cls,
        uri: str | Path,
        *,
        create: bool = False,
        at: str | datetime | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> FeatureStore:
        """Open the store at ``uri``.

        Parameters
        ----------
        uri : str or Path
            Folder of the store, or ``s3://bucket/prefix``.
        create : bool
            Whether a store that does not exist yet is fine; it comes to be with its first rows.
        at : str or datetime
            Name of a snapshot, or a moment (UTC unless it says otherwise): every table is seen at
            its version of then, tables of later times are absent, and nothing can be written.
        storage_options : mapping of str to str
            Options of an object store, handed to Lance. What they leave out comes from the
            environment (``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, …).

        Raises
        ------
        StoreNotFoundError
            If there is no store and ``create`` is false, or the place is a file or a folder with
            other files.
        InvalidInputError
            If the URI carries credentials, or ``at`` is a moment in the future.
        UnknownNameError
            If ``at`` is neither a snapshot nor a time.
        MissingDataError
            If what the store held at that time has been cleaned up.
        StorageError
            If the folder or bucket cannot be read.
        """
        storage = Storage.at(uri, storage_options)
        storage.check()
        tables = Tables(storage)
        if (not create or at is not None) and not tables.names():
            raise StoreNotFoundError(
                f"there is no store at {storage.uri}; make one with "
                f"'featurestore ingest structures … --store {storage.uri}'"
            )
        return cls(tables if at is None else tables_at(tables, at))

    def showing(self) -> Showing:
        """What the store holds, as ``featurestore info`` says it."""
        with self.session() as session:
            facts = {title: "; ".join(lines) for title, lines in summarise(session)}
        return Showing(f"Feature store at {self.uri}", facts)

    def __repr__(self) -> str:
        # An object's text is asked for in tracebacks and by debuggers: nothing is read for it.
        return f"<FeatureStore {self.uri}>"

    def tables(self) -> list[str]:
        """Names of the tables that exist."""
        return self._tables.names()

    def dataset(self, table: str) -> Any | None:
        """The newest version of a table as a ``lance.LanceDataset``; None where there is none."""
        return self._tables.dataset(table)

    @contextmanager
    def session(self, limits: SqlLimits | None = None) -> Iterator[Session]:
        """A DuckDB session that sees every table at its present version, until it is closed.

        Parameters
        ----------
        limits : SqlLimits, optional
            What its queries from outside may take.
        """
        session = Session(self._tables, limits or SqlLimits())
        try:
            yield session
        finally:
            session.close()

    def sql(
        self, query: str, parameters: Parameters = (), *, limits: SqlLimits | None = None
    ) -> QueryResult:
        """The result of one reading SQL statement over the tables and macros.

        Parameters
        ----------
        query : str
            The statement.
        parameters : sequence or mapping
            Values of ``?`` in order, or of ``$name`` by name.
        limits : SqlLimits, optional
            Time, memory and rows that it may take.

        Returns
        -------
        QueryResult
            An Arrow table in all but name, with ``arrow()``, ``pandas()`` and ``polars()``.

        Raises
        ------
        InvalidInputError
            If the statement would write.
        QueryError
            If DuckDB cannot run it, or it goes beyond a limit.
        """
        with self.session(limits) as session:
            return QueryResult(session.read_only_query(query, parameters))

    def crystal(self, material_id: str) -> Crystal:
        """The structure of a material, which draws itself in a notebook.

        Raises
        ------
        UnknownNameError
            If there is no such material.
        """
        with self.session() as session:
            return stored_crystal(session, material_id)

    @cached_property
    def search(self) -> Search:
        """Similarity search; it keeps the vectors it has read while their tables do not change."""
        from featurestore.search.searcher import Search

        return Search(self.session, self.run)

    def training_view(self, property: str, **choices: Any) -> TrainingView:
        """The training view of a property.

        Parameters
        ----------
        property : str
            For example ``"mbj_bandgap"``.
        **choices
            The other fields of `ViewRequest`: features, text_source, structure_encoder,
            text_encoder, variant, split, property_source.

        Raises
        ------
        UnknownNameError, InvalidInputError
            If a name is unknown, ambiguous or missing.
        MissingDataError
            If no material has all that is asked for.
        """
        return self.view(ViewRequest(property, **choices))

    def view(self, request: ViewRequest) -> TrainingView:
        """The training view of a request; raises as `training_view` does."""
        with self.session() as session:
            selected = select_view(session, resolve(session, request))
        return selected.read()

    def merge(self, table: str, rows: pa.Table, *, replace: bool = False) -> MergeResult:
        """Insert the rows whose key is new, in one atomic commit; see `Tables.merge`."""
        return self._tables.merge(table, rows, replace=replace)

    def merge_rows(
        self, table: str, rows: Iterable[Mapping[str, Any]], *, replace: bool = False
    ) -> MergeResult:
        """Like `merge`, for the rows of a fixed table given as dictionaries.

        Raises
        ------
        InvalidRowsError
            If a row has other columns than the table, or a value of another type.
        """
        schema = table_schema(table).schema
        rows = list(rows)
        unexpected = sorted({name for row in rows for name in row} - set(schema.names))
        if unexpected:
            raise InvalidRowsError(f"rows for table {table!r}: has unexpected {unexpected}")
        try:
            converted = pa.Table.from_pylist(rows, schema=schema)
        except pa.ArrowException as error:
            raise InvalidRowsError(f"rows for table {table!r}: {error}") from error
        return self.merge(table, converted, replace=replace)

    def remove(self, table: str, condition: SQL) -> None:
        """Remove the rows for which the SQL ``condition`` holds, in one atomic commit."""
        self._tables.delete(table, condition)

    def update(self, table: str, condition: SQL, values: Mapping[str, SQL]) -> None:
        """Change columns where ``condition`` holds, in one atomic commit; see `Tables.update`."""
        self._tables.update(table, condition, values)

    def record_failures(
        self, stage: str, context: str, failures: Mapping[str, Failure], run: Run
    ) -> None:
        """Put failures into the ``failures`` table, one row for each item, newest wins."""
        self.merge_rows(
            "failures",
            (
                {
                    "stage": stage,
                    "item": item,
                    "context": context,
                    "error": failure.error,
                    "message": redacted(failure.message),
                    "run_id": run.run_id,
                }
                for item, failure in failures.items()
            ),
            replace=True,
        )

    def failed_items(self, stage: str, context: str) -> set[str]:
        """The items whose failure is on record."""
        failures = self._tables.for_writing("failures")
        if failures is None:
            return set()
        where = SQL(f"stage = {quoted(stage)} AND context = {quoted(context)}")
        return set(failures.to_table(columns=["item"], filter=where)["item"].to_pylist())

    def clear_failures(self, stage: str, context: str, items: Iterable[str]) -> None:
        """Remove the failures of items that have succeeded since."""
        solved = sorted(self.failed_items(stage, context) & set(items))
        if solved:
            among = SQL(", ".join(map(quoted, solved)))
            of = SQL(f"stage = {quoted(stage)} AND context = {quoted(context)}")
            self._tables.delete("failures", SQL(f"{of} AND item IN ({among})"))

    def run(self, command: str, arguments: Mapping[str, Any]) -> AbstractContextManager[Run]:
        """Record a command in the ``runs`` table while it goes on; see `recorded_run`."""
        return recorded_run(self._tables, command, arguments)

    def record_ended(self, run_id: str) -> None:
        """Record that a run of another machine was killed; see `runs.record_ended`."""
        record_ended(self._tables, run_id)

    def snapshots(self) -> list[Snapshot]:
        """All snapshots, oldest first."""
        return list_snapshots(self._tables)

    def snapshot(self, name: str) -> Snapshot:
        """The snapshot of that name; raises `UnknownNameError` if there is none."""
        return find_snapshot(self._tables, name)

    def create_snapshot(self, name: str, message: str = "") -> Snapshot:
        """Name the present state of every table; see `snapshots.create_snapshot`."""
        self._tables.writable()
        check_new_name(self._tables, name)
        message = redacted(message)
        with self.run("snapshot create", {"name": name, "message": message}) as run:
            snapshot = create_snapshot(self._tables, name, message, run)
            run.counts["tables"] = len(snapshot.versions)
        return snapshot

    def delete_snapshot(self, name: str) -> None:
        """Forget a snapshot; see `snapshots.delete_snapshot`."""
        self._tables.writable()
        find_snapshot(self._tables, name)
        with self.run("snapshot delete", {"name": name}):
            delete_snapshot(self._tables, name)

    def restoration(self, name: str) -> list[TableDifference]:
        """What `restore_snapshot` would change; see `snapshots.restoration`."""
        return restoration(self._tables, name)

    def restore_snapshot(self, name: str) -> list[TableDifference]:
        """Make a snapshot's content the newest; see `snapshots.restore_snapshot`."""
        self._tables.writable()
        find_snapshot(self._tables, name)
        with self.run("snapshot restore", {"name": name}) as run:
            changes = restore_snapshot(self._tables, name)
            run.counts["tables"] = len(changes)
        return changes

    def differences(self, later: FeatureStore) -> list[TableDifference]:
        """What ``later`` differs from this store in; see `differences.compare`."""
        return compare(self._tables, later._tables)

    def compact(self, table: str) -> None:
        """Join a table's small fragments, or say that other writers were in the way."""
        if not self._tables.compact(table):
            print(
                f"Note: table {table} is being written to; its fragments are left for the next "
                "run to join.",
                file=sys.stderr,
            )
