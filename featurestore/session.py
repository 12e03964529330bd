"""A DuckDB session over the store: every table as a view, the macros, nothing that can write."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.redaction import redacted
from featurestore.tables.runs import killed_runs
from featurestore.tables.schemas import (
    STRUCTURE_EMBEDDINGS,
    TABLES,
    TEXT_EMBEDDINGS,
    embedding_table,
    table_schema,
)
from featurestore.tables.storage import hiding
from featurestore.tables.tables import Tables

#: The standings of a version; those without a row are in use.
PROMOTED, RETIRED, IN_USE = "promoted", "retired", "in use"

Version = TypeVar("Version")

Parameters = Sequence[Any] | Mapping[str, Any]

MACRO_FILES = ("texts", "training_view", "coverage", "vectors")

_READING = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.RELATION,
}


# The table of an encoder_id as `identity.versioned_id` makes them, without its fingerprint.
_VERSIONED = re.compile(r"(.+__.+)_[0-9a-f]{10}")

_RANKS = {
    "effects": -4,
    "erasures": -3,
    "predictions": -2,
    "models": -1,
    "feature_sets": -1,
    # the embeddings, failures and snapshots
    "encoders": 1,
    "renderings": 1,
    "sentences": 2,
    "generators": 3,
    "splits": 4,
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

    Attributes
    ----------
    versions : dict of str to int
        The Lance version of each table that the queries see.
    """

    def __init__(self, tables: Tables) -> None:
        # Before anything of the store is looked at: a stranger's store must not reach the machine.
        self._connection = duckdb.connect(
            config={
                "python_enable_replacements": "false",
                "enable_external_access": "false",
                "temp_directory": _spill_folder(),
            }
        )
        found = {name: tables.dataset(name) for name in reading_order(tables.names())}
        self._datasets: dict[str, Any] = {
            name: data for name, data in found.items() if data is not None
        }
        self.versions = {name: data.version for name, data in self._datasets.items()}
        # At the time of a snapshot its own run was under way, and is to be seen so.
        killed = [] if tables.is_past else killed_runs(self._datasets.get("runs"))
        with _ctrl_c():
            for name, expected in TABLES.items():
                self._register(name, expected.schema, killed if name == "runs" else [])
            self._register_key_views(self._register_embeddings())
            for name in MACRO_FILES:
                self._connection.execute(macro_source(name))
            self._connection.execute("SET lock_configuration = true")

    def _register(self, name: str, schema: pa.Schema, killed: Sequence[Mapping[str, Any]]) -> None:
        """Register a table of the design, also where it does not exist or lacks later columns.

        ``killed`` are rows of the table ``runs`` whose process is gone, whatever their status says.
        """
        dataset = self._datasets.get(name)
        empty = schema.empty_table()
        if dataset is None:
            self._connection.register(name, empty)
            return
        if not killed and set(schema.names) <= set(dataset.schema.names):
            self._connection.register(name, dataset)
            return
        self._connection.register(f"stored_{name}", dataset)
        self._connection.register(f"empty_{name}", empty)
        ids = ", ".join(quoted(row["run_id"]) for row in killed)
        status = f"CASE WHEN run_id IN ({ids}) THEN 'killed' ELSE status END AS status"
        self._connection.execute(
            f"CREATE TEMP VIEW {name} AS SELECT *"
            + (f" REPLACE ({status})" if killed else "")
            + f" FROM (FROM stored_{name} UNION ALL BY NAME FROM empty_{name})"
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
                self._connection.execute(f'CREATE TEMP VIEW "{alias}" AS FROM "{meant[0]}"')
        return found

    def standings(self) -> dict[str, str]:
        """Which encoders and generators are "promoted" or "retired", by id."""
        rows = self.query("SELECT id, standing FROM standings").to_pylist()
        return {row["id"]: row["standing"] for row in rows}

    def _register_key_views(self, encoders: Mapping[str, str]) -> None:
        for prefix, key in ((STRUCTURE_EMBEDDINGS, "structure_id"), (TEXT_EMBEDDINGS, "text_id")):
            view = prefix.removesuffix("s__") + "_keys"
            parts = [
                f"SELECT {key}, '{encoder_id}' AS encoder_id FROM \"{name}\""
                for name, encoder_id in encoders.items()
                if name.startswith(prefix)
            ] or [f"SELECT '' AS {key}, '' AS encoder_id WHERE false"]
            self._connection.execute(f"CREATE TEMP VIEW {view} AS " + " UNION ALL ".join(parts))
        self._connection.execute(
            "CREATE TEMP VIEW full_texts AS SELECT structure_id, generator_id, "
            "sha256(array_to_string(list_select(list(sentence), list_grade_up(list(position))), "
            "' ')) AS text_id "
            "FROM sentences GROUP BY structure_id, generator_id"
        )

    def dataset(self, name: str) -> Any | None:
        """The Lance dataset behind a table, at this session's version; None if there is none."""
        return self._datasets.get(name)

    def bytes_read(self) -> int:
        """Bytes that this session has read from the tables so far, metadata and keys included."""
        return sum(dataset.io_stats_snapshot().read_bytes for dataset in self._datasets.values())

    def interrupt(self) -> None:
        """Make a query that runs in another thread stop with a `QueryError`."""
        self._connection.interrupt()

    def query(self, sql: str, parameters: Parameters = ()) -> pa.Table:
        """The result of a query as an Arrow table.

        Parameters
        ----------
        sql : str
            One statement.
        parameters : sequence or mapping
            Values of ``?`` in order, or of ``$name`` by name.

        Raises
        ------
        QueryError
            If DuckDB cannot parse, bind or run it.
        """
        try:
            with _ctrl_c():
                relation = self._connection.sql(sql, params=parameters or None)
                return relation.to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(redacted(_without_prefix(str(error)))) from hiding(error)

    def read_only_query(self, sql: str, parameters: Parameters = ()) -> pa.Table:
        """Like `query`, for SQL from outside: one statement that only reads.

        Raises
        ------
        InvalidInputError
            If it is not a single reading statement.
        QueryError
            If DuckDB cannot parse, bind or run it.
        """
        statements = self._extracted(sql)
        if len(statements) != 1:
            raise InvalidInputError(f"give one SQL statement, got {len(statements)}")
        if statements[0].type not in _READING:
            kind = statements[0].type.name
            raise InvalidInputError(f"queries are read-only: {kind} statements are refused")
        return self.query(sql, parameters)

    def statements(self, sql: str) -> list[str]:
        """The statements of a script, without running them; raises `QueryError` on bad syntax."""
        return [statement.query.strip() for statement in self._extracted(sql)]

    def _extracted(self, sql: str) -> list[Any]:
        try:
            return list(self._connection.extract_statements(sql))
        except duckdb.Error as error:
            raise QueryError(redacted(_without_prefix(str(error)))) from hiding(error)

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be one: in the main thread DuckDB makes a RuntimeError of it."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise


def _spill_folder() -> str:
    """Where DuckDB puts what outgrows its memory; it makes the folder when it must, and removes it.

    SQL may read this folder, so nothing else may ever be in it: DuckDB's default is ``.tmp`` in the
    working directory.
    """
    return str(Path(tempfile.gettempdir()) / f"featurestore-{secrets.token_hex(8)}")


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


def macro_source(name: str) -> str:
    """The SQL that defines one file of macros, with the comment that documents it."""
    return resources.files("featurestore").joinpath("sql", f"{name}.sql").read_text("utf-8")


def quoted(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _without_prefix(message: str) -> str:
    """DuckDB's message without its error class, which says nothing to a user."""
    head, separator, tail = message.partition(" Error: ")
    return tail if separator and len(head.split()) <= 3 else message
