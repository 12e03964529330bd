"""The one object a program needs: opens a store, reads views and queries, merges rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import InvalidRowsError, StorageError, StoreNotFoundError
from featurestore.failure import Failure
from featurestore.runs import Run, recorded_run
from featurestore.schemas import table_schema
from featurestore.session import Session, quoted
from featurestore.tables import MergeResult, Tables
from featurestore.view_parameters import resolve
from featurestore.view_request import ViewRequest
from featurestore.views import TrainingView, load_view


class FeatureStore:
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
        storage_options: Mapping[str, str] | None = None,
    ) -> FeatureStore:
        """Open the store at ``uri``.

        Parameters
        ----------
        uri : str or Path
            Folder of the store.
        create : bool
            Whether a store that does not exist yet is fine; it comes to be with its first rows.
        storage_options : mapping of str to str
            Options of an object store, handed to Lance.

        Raises
        ------
        StoreNotFoundError
            If there is no store and ``create`` is false, or the place is a file or a folder with
            other files.
        StorageError
            If the folder cannot be read.
        """
        place = str(uri)
        if "://" not in place:
            place = str(Path(place).expanduser())
            _check_folder(Path(place))
        tables = Tables(place, storage_options)
        if not create and not tables.names():
            raise StoreNotFoundError(
                f"there is no store at {place}; make one with "
                f"'featurestore ingest structures … --store {place}'"
            )
        return cls(tables)

    def tables(self) -> list[str]:
        """Names of the tables that exist."""
        return self._tables.names()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A DuckDB session that sees every table at its present version, until it is closed."""
        session = Session(self._tables)
        try:
            yield session
        finally:
            session.close()

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of one reading SQL statement over the tables and macros.

        Raises
        ------
        InvalidInputError
            If the statement would write.
        QueryError
            If DuckDB cannot run it.
        """
        with self.session() as session:
            return session.read_only_query(query, parameters)

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
            return load_view(session, resolve(session, request))

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
                    "message": failure.message,
                    "run_id": run.run_id,
                }
                for item, failure in failures.items()
            ),
            replace=True,
        )

    def failed_items(self, stage: str, context: str) -> set[str]:
        """The items whose failure is on record."""
        failures = self._tables.dataset("failures")
        if failures is None:
            return set()
        where = f"stage = {quoted(stage)} AND context = {quoted(context)}"
        return set(failures.to_table(columns=["item"], filter=where)["item"].to_pylist())

    def clear_failures(self, stage: str, context: str, items: Iterable[str]) -> None:
        """Remove the failures of items that have succeeded since."""
        solved = sorted(self.failed_items(stage, context) & set(items))
        if solved:
            among = ", ".join(map(quoted, solved))
            self._tables.delete(
                "failures",
                f"stage = {quoted(stage)} AND context = {quoted(context)} AND item IN ({among})",
            )

    def run(self, command: str, arguments: Mapping[str, Any]) -> AbstractContextManager[Run]:
        """Record a command in the ``runs`` table while it goes on; see `recorded_run`."""
        return recorded_run(self._tables, command, arguments)

    def compact(self, table: str) -> None:
        """Join a table's small fragments; see `Tables.compact`."""
        self._tables.compact(table)


def _check_folder(path: Path) -> None:
    try:
        if path.exists() and not path.is_dir():
            raise StoreNotFoundError(f"{path} is a file; a store is a folder")
        if path.is_dir() and any(path.iterdir()) and not any(path.glob("*.lance")):
            raise StoreNotFoundError(
                f"{path} is a folder with other files in it, not a store; name another folder"
            )
    except OSError as error:
        raise StorageError(f"cannot read the folder {path}: {error}") from error
