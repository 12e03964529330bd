"""The tables of a store and the macros in a DuckDB connection, once a query names them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from featurestore.query.lazy_names import LazyNames
from featurestore.query.macros import MACRO_FILES, NAMES, macro_definitions
from featurestore.quoting import SQL, identifier, literal, quoted
from featurestore.tables.schemas import (
    STRUCTURE_EMBEDDINGS,
    TABLES,
    TEXT_EMBEDDINGS,
    embedding_table,
    table_schema,
)

#: The standings of a version; those without a row are in use.
PROMOTED, RETIRED, IN_USE = "promoted", "retired", "in use"

Version = TypeVar("Version")

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

# A row a version. Macros name them several times, and a scan of a dataset takes 1 to 2 ms to begin.
_OF_A_FEW_ROWS = {"encoders", "generators", "property_rules", "standings"}

# The table of an encoder_id as `identity.versioned_id` makes them, without its fingerprint.
_VERSIONED = re.compile(r"(.+__.+)_[0-9a-f]{10}")
_KEYS = ((STRUCTURE_EMBEDDINGS, "structure_id"), (TEXT_EMBEDDINGS, "text_id"))


class SessionTables:
    """Defines tables, views and macros in a connection when a query first names them.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Of the session.
    datasets : mapping of str to lance.LanceDataset
        The tables that are read.
    damaged : mapping of str to list of (dict, str)
        Key and problem of the rows of a table that are left out.
    killed : sequence of mapping
        Rows of the table ``runs`` whose process is gone, whatever their status says.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        datasets: Mapping[str, Any],
        damaged: Mapping[str, Sequence[tuple[dict[str, Any], str]]],
        killed: Sequence[Mapping[str, Any]],
    ) -> None:
        self._connection = connection
        self._datasets = datasets
        self._damaged = damaged
        self._killed = killed
        self._names = LazyNames()
        self._add_macros(NAMES)
        for name, expected in TABLES.items():
            self._names.add(partial(self._register, name, expected.schema), {name})
        self._names.add(
            self._register_embeddings,
            # a macro that finds the tables of encoders by their names
            {"query_table"},
            # of the tables, their short names, and their keys
            tuple(prefix.removesuffix("s__") for prefix, _ in _KEYS),
        )
        self._names.add(self._view_full_texts, {"full_texts"})
        for file in MACRO_FILES[1:]:
            self._add_macros(file)

    def _add_macros(self, file: str) -> None:
        for name, source in macro_definitions(file):
            self._names.add(partial(self.execute, source), {name})

    def execute(self, sql: SQL) -> duckdb.DuckDBPyConnection:
        """Run a statement of the package's own, whatever it names being there."""
        self._names.define_named(sql)
        return self._connection.execute(sql)

    def relation(self, sql: str, parameters: Any = None) -> Any:
        """The relation of one reading statement."""
        self._names.define_named(sql)
        try:
            return self._connection.sql(sql, params=parameters or None)
        except (duckdb.CatalogException, duckdb.BinderException):
            # A name that is put together while it is bound; and errors suggest from all names.
            if not self._names.define_all():
                raise
            return self._connection.sql(sql, params=parameters or None)

    def standings(self) -> dict[str, str]:
        """Which encoders and generators are "promoted" or "retired", by id."""
        return dict(self.execute(SQL("SELECT id, standing FROM standings")).fetchall())

    def _register(self, name: str, schema: pa.Schema) -> None:
        """Register a table of the design, also where it does not exist or lacks later columns."""
        dataset = self._datasets.get(name)
        empty = schema.empty_table()
        damaged = self._damaged.get(name, [])
        killed = self._killed if name == "runs" else []
        changed, condition = SQL(""), SQL("")
        if name == "materials":
            changed = _OF_MATERIALS
        rows = empty if dataset is None else dataset
        if dataset is not None and name in _OF_A_FEW_ROWS:
            rows = dataset.to_table(columns=dataset.schema.names)
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
        self.execute(
            SQL(
                f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS "
                f"SELECT *{changed} {source}{condition}"
            )
        )

    def _register_embeddings(self) -> None:
        """Register the embedding tables, by encoder id and, where it is unique, by name."""
        found = {
            name: name.split("__", 1)[1]
            for name in self._datasets
            if name.startswith((STRUCTURE_EMBEDDINGS, TEXT_EMBEDDINGS))
        }
        for name in found:
            self._connection.register(name, self._datasets[name])
        # An encoder that has failed on everything so far has no table yet.
        encoders = self.execute(SQL("SELECT encoder_id, kind, dimension FROM encoders")).fetchall()
        for encoder_id, kind, dimension in encoders:
            name = embedding_table(kind, encoder_id)
            if name not in found:
                found[name] = encoder_id
                self._connection.register(name, table_schema(name, dimension).schema.empty_table())
        versions: dict[str, list[str]] = {}
        for name in found:
            if match := _VERSIONED.fullmatch(name):
                versions.setdefault(match[1], []).append(name)
        standings = self.standings()
        for alias, names in versions.items():
            meant = by_standing(names, [standings.get(found[name]) for name in names])
            if alias not in found and len(meant) == 1:
                self._connection.execute(
                    f"CREATE OR REPLACE TEMP VIEW {identifier(alias)} AS "
                    f"FROM {identifier(meant[0])}"
                )
        for prefix, key in _KEYS:
            view = identifier(prefix.removesuffix("s__") + "_keys")
            parts = [
                SQL(f"SELECT {key}, {quoted(encoder_id)} AS encoder_id FROM {identifier(name)}")
                for name, encoder_id in found.items()
                if name.startswith(prefix)
            ] or [SQL(f"SELECT '' AS {key}, '' AS encoder_id WHERE false")]
            every = SQL(" UNION ALL ".join(parts))
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {every}")

    def _view_full_texts(self) -> None:
        self.execute(
            SQL(
                "CREATE OR REPLACE TEMP VIEW full_texts AS SELECT structure_id, generator_id, "
                "sha256(array_to_string(list_select(list(sentence), "
                "list_grade_up(list(position))), ' ')) AS text_id "
                "FROM sentences GROUP BY structure_id, generator_id"
            )
        )


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


def by_standing(versions: Sequence[Version], standings: Sequence[str | None]) -> list[Version]:
    """What a name that several versions share stands for: the promoted ones, else the unretired."""
    paired = list(zip(versions, standings, strict=True))
    promoted = [version for version, standing in paired if standing == PROMOTED]
    return promoted or [version for version, standing in paired if standing != RETIRED]
