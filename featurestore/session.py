"""A DuckDB session over the store: every table as a view, the macros, nothing that can write."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import duckdb
import pyarrow as pa

from featurestore.connection import connect
from featurestore.errors import (
    DamagedRowsWarning,
    FeatureStoreError,
    InvalidInputError,
    MissingRowsWarning,
    NameOrderWarning,
)
from featurestore.query.limits import SqlLimits, check_text, interrupted_after
from featurestore.query.names import compared_names
from featurestore.query.reading import as_arrow_has_it, end_of_explain, kind_of, without_prefix
from featurestore.quoting import quoted as quoted
from featurestore.session_tables import SessionTables
from featurestore.tables.order import reading_order
from featurestore.tables.presence import losses
from featurestore.tables.runs import killed_runs
from featurestore.tables.soundness import RESOLVED_BY, form_problem
from featurestore.tables.storage import hiding
from featurestore.tables.tables import Tables
from featurestore.tables.verdicts import Verdicts

Parameters = Sequence[Any] | Mapping[str, Any]

_NO_LIMITS = SqlLimits()
_ROWS_A_BATCH = 8192


class QueryError(FeatureStoreError):
    """DuckDB refused a query; the message is its own."""


class Session:
    """Queries on one consistent set of table versions, those at the time it was opened.

    Parameters
    ----------
    tables : Tables
        Where the tables are.
    limits : SqlLimits
        What `read_only_query` may take.

    Attributes
    ----------
    versions : dict of str to int
        The Lance version of each table that the queries see.
    unusable : dict of str to str
        Why the queries see nothing of a table that is there.
    losses : list of Loss
        Tables that are older than what is on record, or gone.
    damaged : dict of str to list of (dict, str)
        Key and problem of the rows that the queries do not see because they cannot be used.
    """

    def __init__(self, tables: Tables, limits: SqlLimits = _NO_LIMITS) -> None:
        # Before anything of the store is looked at: a stranger's store must not reach the machine.
        self._limits = limits
        self._connection = connect(limits.memory)
        found = {name: tables.dataset(name) for name in reading_order(tables.names())}
        self._datasets: dict[str, Any] = {
            name: data for name, data in found.items() if data is not None
        }
        self.versions = {name: data.version for name, data in self._datasets.items()}
        self.unusable: dict[str, str] = {}
        self.damaged: dict[str, list[tuple[dict[str, Any], str]]] = {}
        self._leave_out_unusable(tables.verdicts)
        # At the time of a snapshot its own run was under way, and is to be seen so.
        self._killed = [] if tables.is_past else killed_runs(self._datasets.get("runs"))
        self.losses = [] if tables.is_past else losses(tables, self.versions, self._datasets)
        for loss in self.losses:
            warnings.warn(
                f"{loss}: its newest rows are missing; restore a backup, or see: "
                "featurestore verify",
                MissingRowsWarning,
                stacklevel=3,
            )
        self._tables = self._names_of_tables()

    def _names_of_tables(self) -> SessionTables:
        return SessionTables(self._connection, self._datasets, self.damaged, self._killed)

    def _leave_out_unusable(self, verdicts: Verdicts) -> None:
        """Take tables of another form, and rows that cannot be used, out of what is read."""
        for name in list(self._datasets):
            problem = form_problem(self._datasets[name], name)
            if problem is not None:
                self.unusable[name] = problem
                del self._datasets[name]
                warnings.warn(
                    f"table {name} is left out: {problem}; see: featurestore verify",
                    DamagedRowsWarning,
                    stacklevel=4,
                )
        for name in RESOLVED_BY:
            dataset = self._datasets.get(name)
            rows = [] if dataset is None else verdicts.unsound(name, dataset)
            if rows:
                self.damaged[name] = rows
                key, problem = rows[0]
                what = ", ".join(f"{column}={value!r:.100}" for column, value in key.items())
                warnings.warn(
                    f"{len(rows):,} damaged rows of {name} are left out, for example {what}: "
                    f"{problem}; featurestore verify names all",
                    DamagedRowsWarning,
                    stacklevel=4,
                )

    def standings(self) -> dict[str, str]:
        """Which encoders and generators are "promoted" or "retired", by id."""
        with self._errors(), _ctrl_c():
            return self._tables.standings()

    def dataset(self, name: str) -> Any | None:
        """The Lance dataset behind a table, at this session's version; None if it is of no use."""
        return self._datasets.get(name)

    def bytes_read(self) -> int:
        """Bytes that this session has read from the tables so far, metadata and keys included."""
        return sum(dataset.io_stats_snapshot().read_bytes for dataset in self._datasets.values())

    def interrupt(self) -> None:
        """Make a query that runs in another thread stop with a `QueryError`."""
        # Nothing runs any more in one that is closed.
        with suppress(duckdb.ConnectionException):
            self._connection.interrupt()

    def query(self, sql: str, parameters: Parameters = ()) -> pa.Table:
        """The result of one reading statement as an Arrow table.

        Parameters
        ----------
        sql : str
            One statement.
        parameters : sequence or mapping
            Values of ``?`` in order, or of ``$name`` by name.

        Raises
        ------
        InvalidInputError
            If it is not a single statement that only reads.
        QueryError
            If DuckDB cannot parse, bind or run it.
        """
        self._check_reading(sql)
        with self._errors(), _ctrl_c():
            return self._tables.relation(sql, parameters).to_arrow_table()

    def read_only_query(
        self, sql: str, parameters: Parameters = (), *, first: int | None = None
    ) -> pa.Table:
        """Like `query`, for SQL from outside: within this session's limits.

        Values of types that Arrow lacks (times with a zone, bit strings, integers of more than 38
        digits) come as text, as DuckDB writes them. With ``first`` only so many rows are read.

        Raises
        ------
        InvalidInputError
            If it is not a single statement that only reads, or its text is too long or nests too
            deep.
        QueryError
            If DuckDB cannot parse, bind or run it, or it goes beyond a limit.
        """
        check_text(sql, parameters)
        self._check_reading(sql)
        self._warn_of_orders(sql, parameters)
        with self._in_time(), self._errors(), _ctrl_c():
            return self._limited(as_arrow_has_it(self._tables.relation(sql, parameters)), first)

    def _warn_of_orders(self, sql: str, parameters: Parameters) -> None:
        """Warn where a column is compared with a formula or chemical system written otherwise."""
        for column, text in compared_names(sql, parameters):
            try:
                [(written,)] = self._tables.relation(
                    "SELECT CASE $1 WHEN 'formula' THEN formula($2) ELSE chemsys($2) END",
                    [column, text],
                ).fetchall()
            except duckdb.Error:  # no formula, whatever it looks like
                continue
            if written != text:
                warnings.warn(
                    f"no {column} is written {text!r}; it is {written!r} here ({column}('{text}') "
                    "takes any order)",
                    NameOrderWarning,
                    stacklevel=4,
                )

    def _limited(self, relation: Any, first: int | None) -> pa.Table:
        """The rows of a relation, unless they are more than this session's limits allow."""
        rows, memory = self._limits.rows, self._limits.memory
        if rows is None and memory is None and first is None:
            return relation.to_arrow_table()
        reader = relation.to_arrow_reader(_ROWS_A_BATCH)
        batches, count, size = [], 0, 0
        for batch in reader:
            batches.append(batch)
            count, size = count + batch.num_rows, size + batch.nbytes
            if first is not None and count >= first:
                break
            if rows is not None and count > rows:
                raise QueryError(
                    f"the query gives more than {rows:,} rows; add LIMIT, or allow more"
                )
            if memory is not None and size > memory:
                raise QueryError(
                    f"the rows of the query take more than {memory / 1e6:,.0f} MB; select less"
                )
        return pa.Table.from_batches(batches, reader.schema).slice(0, first)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Interrupt what runs longer than this session's limit, with a `QueryError`."""
        seconds = self._limits.seconds
        with interrupted_after(seconds, self.interrupt) as late:
            try:
                yield
            except (QueryError, KeyboardInterrupt):
                if late.is_set():
                    raise QueryError(
                        f"the query took more than {seconds:g} s and was stopped"
                    ) from None
                raise

    def _check_reading(self, sql: str) -> None:
        """Raise unless the text is one statement of a kind that reads."""
        statements = self._extracted(sql)
        if len(statements) != 1:
            raise InvalidInputError(f"give one SQL statement, got {len(statements)}")
        kind = kind_of(statements[0])
        if kind == "EXPLAIN":
            # EXPLAIN ANALYZE runs what it explains.
            explained = self._extracted(statements[0].query[end_of_explain(statements[0].query) :])
            kind = kind_of(explained[0]) if len(explained) == 1 else "EXPLAIN"
        if kind != "SELECT":
            raise InvalidInputError(f"queries are read-only: {kind} statements are refused")

    def statements(self, sql: str) -> list[str]:
        """The statements of a script, without running them; raises `QueryError` on bad syntax."""
        return [statement.query.strip() for statement in self._extracted(sql)]

    def _extracted(self, sql: str) -> list[Any]:
        with self._errors():
            return list(self._connection.extract_statements(sql))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise what DuckDB refuses as a `QueryError`, a result that Arrow cannot hold included."""
        try:
            yield
        except (duckdb.FatalException, duckdb.InternalException) as error:
            # After a fault of its own DuckDB answers nothing more from the same database.
            useless, self._connection = self._connection, connect(self._limits.memory)
            self._tables = self._names_of_tables()
            useless.close()
            message = f"DuckDB failed in itself: {without_prefix(str(error))}"
            raise QueryError(message) from hiding(error)
        # What DuckDB meets while Arrow fetches its rows is an OSError.
        except (duckdb.Error, pa.ArrowException, OSError, ValueError, MemoryError) as error:
            message = str(error) or "it needs more memory than there is"
            raise QueryError(without_prefix(message)) from hiding(error)

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be one: DuckDB makes errors of its own of it, another where it asks for rows."""
    try:
        yield
    except (RuntimeError, duckdb.Error) as error:
        said = str(error).rstrip(": \n")
        if said == "Query interrupted" or said.endswith("KeyboardInterrupt"):
            raise KeyboardInterrupt from None
        raise
