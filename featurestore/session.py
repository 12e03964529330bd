"""A DuckDB session over the store: every table as a view, the macros, nothing that can write."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any, TypeVar

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
from featurestore.query.limits import SqlLimits, check_text
from featurestore.query.names import compared_names
from featurestore.quoting import SQL, identifier, literal
from featurestore.quoting import quoted as quoted
from featurestore.tables.presence import losses
from featurestore.tables.runs import killed_runs
from featurestore.tables.schemas import (
    STRUCTURE_EMBEDDINGS,
    TABLES,
    TEXT_EMBEDDINGS,
    embedding_table,
    table_schema,
)
from featurestore.tables.soundness import RESOLVED_BY, form_problem, unsound_rows
from featurestore.tables.storage import hiding
from featurestore.tables.tables import Tables

#: The standings of a version; those without a row are in use.
PROMOTED, RETIRED, IN_USE = "promoted", "retired", "in use"

Version = TypeVar("Version")

Parameters = Sequence[Any] | Mapping[str, Any]

# The first needs no table, and the view of the materials needs it.
_NAMES = "names"
MACRO_FILES = (
    *(_NAMES, "texts", "property_rules", "classes"),
    *("training_view", "coverage", "vectors"),
)

# Columns of the view of materials beside those of their table: cheap to compute, and computed only
# where a query names them.
_OF_MATERIALS = SQL(
    " REPLACE (formula_of_stored(formula) AS formula), formula AS formula_alphabetical, "
    "list_sort(regexp_extract_all(formula, '[A-Z][a-z]?')) AS elements, "
    "array_to_string(list_sort(regexp_extract_all(formula, '[A-Z][a-z]?')), '-') AS chemsys"
)

#: The columns of ``materials`` in SQL: those that are stored, and those that are computed.
MATERIAL_COLUMNS = (
    *TABLES["materials"].schema.names,
    *("formula_alphabetical", "elements", "chemsys"),
)

_NO_LIMITS = SqlLimits()
_ROWS_A_BATCH = 8192
_COMMENT = duckdb.token_type.comment
# Arrow wraps the first to -1, forgets the zone of the second, and has bytes for the others.
_TEXT_ALONE = re.compile(r"\b(UHUGEINT|TIME WITH TIME ZONE|BIT|BIGNUM|VARIANT)\b")

# The table of an encoder_id as `identity.versioned_id` makes them, without its fingerprint.
_VERSIONED = re.compile(r"(.+__.+)_[0-9a-f]{10}")

_RANKS = {
    "effects": -4,
    "erasures": -3,
    "forecasts": -2,
    "imported_models": -2,
    "predictions": -2,
    "models": -1,
    "feature_sets": -1,
    # the embeddings, failures and snapshots
    "encoders": 1,
    "renderings": 1,
    "sentences": 2,
    "generators": 3,
    "property_rules": 4,
    "splits": 4,
    "split_versions": 5,
    "properties": 5,
    "materials": 6,
    "runs": 7,
}


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
        self._connection = connect(limits.memory)
        self._limits = limits
        found = {name: tables.dataset(name) for name in reading_order(tables.names())}
        self._datasets: dict[str, Any] = {
            name: data for name, data in found.items() if data is not None
        }
        self.versions = {name: data.version for name, data in self._datasets.items()}
        self.unusable: dict[str, str] = {}
        self.damaged: dict[str, list[tuple[dict[str, Any], str]]] = {}
        self._leave_out_unusable()
        # At the time of a snapshot its own run was under way, and is to be seen so.
        killed = [] if tables.is_past else killed_runs(self._datasets.get("runs"))
        self.losses = [] if tables.is_past else losses(tables, self.versions, self._datasets)
        for loss in self.losses:
            warnings.warn(
                f"{loss}: its newest rows are missing; restore a backup, or see: "
                "featurestore verify",
                MissingRowsWarning,
                stacklevel=3,
            )
        with _ctrl_c():
            self._connection.execute(macro_source(_NAMES))
            for name, expected in TABLES.items():
                self._register(name, expected.schema, killed if name == "runs" else [])
            self._register_key_views(self._register_embeddings())
            for name in MACRO_FILES[1:]:
                self._connection.execute(macro_source(name))
            self._connection.execute("SET lock_configuration = true")

    def _leave_out_unusable(self) -> None:
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
            rows = [] if dataset is None else unsound_rows(name, dataset)
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

    def _register(self, name: str, schema: pa.Schema, killed: Sequence[Mapping[str, Any]]) -> None:
        """Register a table of the design, also where it does not exist or lacks later columns.

        ``killed`` are rows of the table ``runs`` whose process is gone, whatever their status says.
        """
        dataset = self._datasets.get(name)
        empty = schema.empty_table()
        damaged = self.damaged.get(name, [])
        changed, condition = SQL(""), SQL("")
        if name == "materials":
            changed = _OF_MATERIALS
        rows = empty if dataset is None else dataset
        is_whole = set(schema.names) <= set(rows.schema.names)
        if is_whole and not (killed or damaged or changed):
            self._connection.register(name, rows)
            return
        stored = identifier(f"stored_{name}")
        self._connection.register(f"stored_{name}", rows)
        source = SQL(f"FROM {stored}")
        if not is_whole:
            nothing = identifier(f"empty_{name}")
            self._connection.register(f"empty_{name}", empty)
            source = SQL(f"FROM (FROM {stored} UNION ALL BY NAME FROM {nothing})")
        if killed:
            ids = SQL(", ".join(quoted(row["run_id"]) for row in killed))
            changed = SQL(
                f" REPLACE (CASE WHEN run_id IN ({ids}) THEN 'killed' ELSE status END AS status)"
            )
        if damaged:
            condition = _without(TABLES[name].key, [key for key, _ in damaged])
        self._connection.execute(
            f"CREATE TEMP VIEW {identifier(name)} AS SELECT *{changed} {source}{condition}"
        )

    def _register_embeddings(self) -> dict[str, str]:
        """Register the embedding tables, by encoder id and, where it is unique, by name."""
        found = {
            name: name.split("__", 1)[1]
            for name in self._datasets
            if name.startswith((STRUCTURE_EMBEDDINGS, TEXT_EMBEDDINGS))
        }
        for name in found:
            self._connection.register(name, self._datasets[name])
        # An encoder that has failed on everything so far has no table yet.
        for row in self.query("SELECT encoder_id, kind, dimension FROM encoders").to_pylist():
            name = embedding_table(row["kind"], row["encoder_id"])
            if name not in found:
                found[name] = row["encoder_id"]
                schema = table_schema(name, row["dimension"]).schema
                self._connection.register(name, schema.empty_table())
        versions: dict[str, list[str]] = {}
        for name in found:
            if match := _VERSIONED.fullmatch(name):
                versions.setdefault(match[1], []).append(name)
        standings = self.standings()
        for alias, names in versions.items():
            meant = by_standing(names, [standings.get(found[name]) for name in names])
            if alias not in found and len(meant) == 1:
                self._connection.execute(
                    f"CREATE TEMP VIEW {identifier(alias)} AS FROM {identifier(meant[0])}"
                )
        return found

    def standings(self) -> dict[str, str]:
        """Which encoders and generators are "promoted" or "retired", by id."""
        rows = self.query("SELECT id, standing FROM standings").to_pylist()
        return {row["id"]: row["standing"] for row in rows}

    def _register_key_views(self, encoders: Mapping[str, str]) -> None:
        for prefix, key in ((STRUCTURE_EMBEDDINGS, "structure_id"), (TEXT_EMBEDDINGS, "text_id")):
            view = identifier(prefix.removesuffix("s__") + "_keys")
            parts = [
                SQL(f"SELECT {key}, {quoted(encoder_id)} AS encoder_id FROM {identifier(name)}")
                for name, encoder_id in encoders.items()
                if name.startswith(prefix)
            ] or [SQL(f"SELECT '' AS {key}, '' AS encoder_id WHERE false")]
            every = SQL(" UNION ALL ".join(parts))
            self._connection.execute(f"CREATE TEMP VIEW {view} AS {every}")
        self._connection.execute(
            "CREATE TEMP VIEW full_texts AS SELECT structure_id, generator_id, "
            "sha256(array_to_string(list_select(list(sentence), list_grade_up(list(position))), "
            "' ')) AS text_id "
            "FROM sentences GROUP BY structure_id, generator_id"
        )

    def dataset(self, name: str) -> Any | None:
        """The Lance dataset behind a table, at this session's version; None if it is of no use."""
        return self._datasets.get(name)

    def bytes_read(self) -> int:
        """Bytes that this session has read from the tables so far, metadata and keys included."""
        return sum(dataset.io_stats_snapshot().read_bytes for dataset in self._datasets.values())

    def interrupt(self) -> None:
        """Make a query that runs in another thread stop with a `QueryError`."""
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
        with _errors(), _ctrl_c():
            relation = self._connection.sql(sql, params=parameters or None)
            return relation.to_arrow_table()

    def read_only_query(self, sql: str, parameters: Parameters = ()) -> pa.Table:
        """Like `query`, for SQL from outside: within this session's limits.

        Values of types that Arrow lacks (times with a zone, bit strings, integers of more than 38
        digits) come as text, as DuckDB writes them.

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
        with self._in_time(), _errors(), _ctrl_c():
            return self._limited(
                _as_arrow_has_it(self._connection.sql(sql, params=parameters or None))
            )

    def _warn_of_orders(self, sql: str, parameters: Parameters) -> None:
        """Warn where a column is compared with a formula or chemical system written otherwise."""
        for column, text in compared_names(sql, parameters):
            try:
                [(written,)] = self._connection.execute(
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

    def _limited(self, relation: Any) -> pa.Table:
        """The rows of a relation, unless they are more than this session's limits allow."""
        rows, memory = self._limits.rows, self._limits.memory
        if rows is None and memory is None:
            return relation.to_arrow_table()
        reader = relation.to_arrow_reader(_ROWS_A_BATCH)
        batches, count, size = [], 0, 0
        for batch in reader:
            batches.append(batch)
            count, size = count + batch.num_rows, size + batch.nbytes
            if rows is not None and count > rows:
                raise QueryError(
                    f"the query gives more than {rows:,} rows; add LIMIT, or allow more"
                )
            if memory is not None and size > memory:
                raise QueryError(
                    f"the rows of the query take more than {memory / 1e6:,.0f} MB; select less"
                )
        return pa.Table.from_batches(batches, reader.schema)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Interrupt what runs longer than this session's limit, with a `QueryError`."""
        seconds = self._limits.seconds
        if seconds is None:
            yield
            return
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.interrupt()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (QueryError, KeyboardInterrupt):
            if late.is_set():
                raise QueryError(
                    f"the query took more than {seconds:g} s and was stopped"
                ) from None
            raise
        finally:
            timer.cancel()

    def _check_reading(self, sql: str) -> None:
        """Raise unless the text is one statement of a kind that reads."""
        statements = self._extracted(sql)
        if len(statements) != 1:
            raise InvalidInputError(f"give one SQL statement, got {len(statements)}")
        kind = _kind(statements[0])
        if kind == "EXPLAIN":
            # EXPLAIN ANALYZE runs what it explains.
            explained = self._extracted(statements[0].query[_end_of_explain(statements[0].query) :])
            kind = _kind(explained[0]) if len(explained) == 1 else "EXPLAIN"
        if kind != "SELECT":
            raise InvalidInputError(f"queries are read-only: {kind} statements are refused")

    def statements(self, sql: str) -> list[str]:
        """The statements of a script, without running them; raises `QueryError` on bad syntax."""
        return [statement.query.strip() for statement in self._extracted(sql)]

    def _extracted(self, sql: str) -> list[Any]:
        with _errors():
            return list(self._connection.extract_statements(sql))

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()


def _without(key: Sequence[str], damaged: Sequence[Mapping[str, Any]]) -> SQL:
    """The clause that leaves out rows by their keys, and every row with a null in its key."""
    columns = [identifier(name) for name in key]
    there = SQL(" AND ".join(f"{column} IS NOT NULL" for column in columns))
    rows = [[row[name] for name in key] for row in damaged]
    bad = [
        SQL("(" + ", ".join(literal(value) for value in row) + ")")
        for row in rows
        if None not in row
    ]
    if not bad:
        return SQL(f" WHERE {there}")
    return SQL(f" WHERE {there} AND ({', '.join(columns)}) NOT IN ({', '.join(bad)})")


@contextmanager
def _errors() -> Iterator[None]:
    """Raise what DuckDB refuses as a `QueryError`, a result that Arrow cannot hold included."""
    try:
        yield
    # What DuckDB meets while Arrow fetches its rows is an OSError.
    except (duckdb.Error, pa.ArrowException, OSError, ValueError, MemoryError) as error:
        message = str(error) or "it needs more memory than there is"
        raise QueryError(_without_prefix(message)) from hiding(error)


def _kind(statement: Any) -> str:
    """The kind of a parsed statement; those that this DuckDB's Python does not know are "OTHER"."""
    try:
        return str(statement.type.name)
    except ValueError:
        return "OTHER"


def _end_of_explain(sql: str) -> int:
    """Where the statement begins that an EXPLAIN with its options explains."""
    tokens = [(start, sql[start:]) for start, kind in duckdb.tokenize(sql) if kind != _COMMENT]
    depth = 0
    for start, rest in tokens[1:]:
        if rest.startswith("("):
            depth += 1
        elif rest.startswith(")"):
            depth -= 1
        elif depth == 0 and not re.match(r"(analyze|verbose)\b", rest, re.IGNORECASE):
            return int(start)
    return len(sql)


def _as_arrow_has_it(relation: Any) -> Any:
    """A relation whose columns of types that Arrow lacks, or shows as bytes, are text."""
    kinds = [str(kind) for kind in relation.types]
    if not any(_TEXT_ALONE.search(kind) for kind in kinds):
        return relation
    columns = []
    for number, (kind, name) in enumerate(zip(kinds, relation.columns, strict=True), start=1):
        place = SQL(f"#{literal(number)}")  # several columns may share a name
        shown = SQL(f"CAST({place} AS VARCHAR)" if _TEXT_ALONE.search(kind) else place)
        columns.append(SQL(f"{shown} AS {identifier(name)}" if name else shown))
    return relation.project(", ".join(columns))


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be one: in the main thread DuckDB makes a RuntimeError of it."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise


def reading_order(names: Iterable[str]) -> list[str]:
    """Table names, what is derived before what it is derived from.

    Writers commit in the opposite order, so that whatever a row refers to is among the rows that
    are seen, although other processes write while the versions are looked up.
    """
    return sorted(names, key=lambda name: (_RANKS.get(name, 0), name))


def by_standing(versions: Sequence[Version], standings: Sequence[str | None]) -> list[Version]:
    """What a name that several versions share stands for: the promoted ones, else the unretired."""
    paired = list(zip(versions, standings, strict=True))
    promoted = [version for version, standing in paired if standing == PROMOTED]
    return promoted or [version for version, standing in paired if standing != RETIRED]


def macro_source(name: str) -> SQL:
    """The SQL that defines one file of macros, with the comment that documents it."""
    file = resources.files("featurestore").joinpath("sql", f"{name}.sql")
    return SQL(file.read_text("utf-8"))


def _without_prefix(message: str) -> str:
    """DuckDB's message without its error class, which says nothing to a user."""
    head, separator, tail = message.partition(" Error: ")
    return tail if separator and len(head.split()) <= 3 else message
