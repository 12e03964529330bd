"""What two states of a store differ in, table by table and key by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from featurestore.connection import connect
from featurestore.history.versions import SNAPSHOTS
from featurestore.quoting import SQL, identifier
from featurestore.tables.schemas import TABLES, table_schema
from featurestore.tables.tables import Tables

# Who wrote a row and when is no part of what it says.
_NO_CONTENT = ("run_id", "created_at")


@dataclass(frozen=True)
class TableDifference:
    """Rows of one table that only the later state has, that differ, that only the earlier has.

    Parameters
    ----------
    table : str
        Its name.
    added, changed, removed : int
        Rows by key; a row is changed if any column but ``run_id`` and ``created_at`` is.
    ids : tuple of str
        For encoders and generators their ids, with ``+``, ``~`` or ``-`` before them.
    """

    table: str
    added: int
    changed: int
    removed: int
    ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.added or self.changed or self.removed)


def compare(before: Tables, after: Tables) -> list[TableDifference]:
    """The differences of every table that either state has, also of those that are the same.

    Vectors are compared by a 64-bit hash of each row.

    Parameters
    ----------
    before, after : Tables
        Two states of one store, or of two.
    """
    names = sorted((set(before.names()) | set(after.names())) - {SNAPSHOTS})
    found = [_compared(name, before.dataset(name), after.dataset(name)) for name in names]
    return [difference for difference in found if difference is not None]


def _compared(name: str, before: Any | None, after: Any | None) -> TableDifference | None:
    there = [dataset for dataset in (before, after) if dataset is not None]
    if not there:
        return None
    if len(there) == 2 and len({(dataset.uri, dataset.version) for dataset in there}) == 1:
        return TableDifference(name, 0, 0, 0)
    schema = pa.unify_schemas([dataset.schema.remove_metadata() for dataset in there])
    key = _key(name, schema)
    with connect() as connection:
        connection.register("empty", schema.empty_table())
        content = [column for column in schema.names if column not in (*key, *_NO_CONTENT)]
        hashed = SQL(", ".join(map(identifier, content)) or "0")
        columns = SQL(", ".join(map(identifier, key)))
        for side, dataset in (("before", before), ("after", after)):
            stored = f"{side}_rows"
            connection.register(stored, schema.empty_table() if dataset is None else dataset)
            # Columns that one side lacks are null there.
            connection.execute(
                f"CREATE TEMP VIEW {identifier(side)} AS "
                f"SELECT {columns}, hash({hashed}) AS content "
                f"FROM (FROM {identifier(stored)} UNION ALL BY NAME FROM empty)"
            )
        same_key = SQL(
            " AND ".join(f"b.{identifier(column)} = a.{identifier(column)}" for column in key)
        )
        first = identifier(key[0])
        joined = f'"before" b FULL JOIN "after" a ON {same_key}'
        kind = (
            f"CASE WHEN b.{first} IS NULL THEN '+' WHEN a.{first} IS NULL THEN '-' "
            "WHEN a.content <> b.content THEN '~' END"
        )
        counts = dict(
            connection.sql(
                f"SELECT {kind} AS change, count(*) FROM {joined} GROUP BY ALL"
            ).fetchall()
        )
        ids = []
        if name in ("encoders", "generators"):
            one = SQL(f"coalesce(b.{first}, a.{first})")
            ids = connection.sql(
                f"SELECT {kind} || {one} FROM {joined} WHERE {kind} IS NOT NULL ORDER BY {one}"
            ).fetchall()
    return TableDifference(
        table=name,
        added=counts.get("+", 0),
        changed=counts.get("~", 0),
        removed=counts.get("-", 0),
        ids=tuple(text for (text,) in ids),
    )


def _key(name: str, schema: pa.Schema) -> tuple[str, ...]:
    if name in TABLES:
        return TABLES[name].key
    return table_schema(name, schema.field("vector").type.list_size).key
