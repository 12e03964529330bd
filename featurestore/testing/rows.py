"""Valid rows for any table of the store, made from its schema alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from featurestore.tables.schemas import TABLES, TableSchema, table_schema

WIDTH = 4
EMBEDDINGS = ("structure_embeddings__toy_0123456789", "text_embeddings__toy_0123456789")
ALL_TABLES = (*TABLES, *EMBEDDINGS)

_START = datetime(2026, 1, 1, tzinfo=UTC)


def expected(table: str) -> TableSchema:
    """The schema of a table; embeddings have vectors of width 4."""
    return table_schema(table, WIDTH)


def made_up(table: str, numbers: Iterable[int], salt: str = "") -> pa.Table:
    """One row for each number: the key depends on it alone, the rest also on ``salt``."""
    schema = expected(table)
    rows = [
        {
            field.name: _value(field.type, f"{field.name}-{number}", number)
            if field.name in schema.key
            else _value(field.type, f"{field.name}-{number}{salt}", number + len(salt))
            for field in schema.schema
        }
        for number in numbers
    ]
    return pa.Table.from_pylist(rows, schema=schema.schema)


def keys(table: str, rows: pa.Table) -> list[tuple[Any, ...]]:
    """The sorted keys of rows."""
    names = expected(table).key
    return sorted(tuple(row[name] for name in names) for row in rows.to_pylist())


def _value(kind: pa.DataType, text: str, number: int) -> Any:
    if pa.types.is_string(kind):
        return text
    if pa.types.is_boolean(kind):
        return number % 2 == 0
    if pa.types.is_integer(kind):
        return number
    if pa.types.is_floating(kind):
        return number + 0.5
    if pa.types.is_timestamp(kind):
        return _START + timedelta(seconds=number)
    if pa.types.is_large_binary(kind):
        return text.encode()
    if pa.types.is_fixed_size_list(kind):
        return [_value(kind.value_type, text, number + i) for i in range(kind.list_size)]
    if pa.types.is_list(kind):
        return [_value(kind.value_type, f"{text}-{i}", number + i) for i in range(2)]
    assert pa.types.is_struct(kind), kind
    return {field.name: _value(field.type, f"{text}-{field.name}", number) for field in kind}
