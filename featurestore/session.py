"""A DuckDB session over the store: every table as a view, the macros, nothing that can write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import duckdb
import pyarrow as pa

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.schemas import (
    STRUCTURE_EMBEDDINGS,
    TABLES,
    TEXT_EMBEDDINGS,
    embedding_table,
    table_schema,
)
from featurestore.tables import Tables

MACRO_FILES = ("texts", "training_view", "coverage")

_READING = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.RELATION,
}


# The table of an encoder_id as `identity.versioned_id` makes them, without its fingerprint.
_VERSIONED = re.compile(r"(.+__.+)_[0-9a-f]{10}")


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
        self._connection = duckdb.connect(config={"python_enable_replacements": "false"})
        found = {name: tables.dataset(name) for name in tables.names()}
        self._datasets: dict[str, Any] = {
            name: data for name, data in found.items() if data is not None
        }
        self.versions = {name: data.version for name, data in self._datasets.items()}
        for name, expected in TABLES.items():
            self._connection.register(name, self._datasets.get(name, expected.schema.empty_table()))
        encoders = self._register_embeddings()
        self._register_key_views(encoders)
        for name in MACRO_FILES:
            self._connection.execute(macro_source(name))
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

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
        short = {name: match[1] for name in found if (match := _VERSIONED.fullmatch(name))}
        for name, alias in short.items():
            if alias not in found and list(short.values()).count(alias) == 1:
                self._connection.execute(f'CREATE TEMP VIEW "{alias}" AS FROM "{name}"')
        return found

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
            "sha256(string_agg(sentence, ' ' ORDER BY position)) AS text_id "
            "FROM sentences GROUP BY structure_id, generator_id"
        )

    def dataset(self, name: str) -> Any | None:
        """The Lance dataset behind a table, at this session's version; None if there is none."""
        return self._datasets.get(name)

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """The result of a query as an Arrow table.

        Raises
        ------
        QueryError
            If DuckDB cannot parse, bind or run it.
        """
        try:
            relation = self._connection.sql(sql, params=parameters or None)
            return relation.to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(_without_prefix(str(error))) from error

    def read_only_query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Like `query`, for SQL from outside: one statement that only reads.

        Raises
        ------
        InvalidInputError
            If it is not a single reading statement.
        QueryError
            If DuckDB cannot parse, bind or run it.
        """
        try:
            statements = self._connection.extract_statements(sql)
        except duckdb.Error as error:
            raise QueryError(_without_prefix(str(error))) from error
        if len(statements) != 1:
            raise InvalidInputError(f"give one SQL statement, got {len(statements)}")
        if statements[0].type not in _READING:
            kind = statements[0].type.name
            raise InvalidInputError(f"queries are read-only: {kind} statements are refused")
        return self.query(sql, parameters)

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()


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
