"""Checks that rows must pass before they are written."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import InvalidRowsError
from featurestore.tables.schemas import TableSchema


def validated(rows: pa.Table, expected: TableSchema) -> pa.Table:
    """``rows`` with the columns, order and types of the schema; nullable ones may be left out.

    Raises
    ------
    InvalidRowsError
        On a missing or unexpected column, a type that does not convert without loss, a vector of
        another width, a null or empty key, a NaN or infinity, or a key that occurs twice.
    """
    table = expected.name
    for field in expected.schema:
        if field.nullable and field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    names, wanted = set(rows.column_names), set(expected.schema.names)
    if names != wanted:
        wrong = [f"lacks {sorted(wanted - names)}"] if wanted - names else []
        wrong += [f"has unexpected {sorted(names - wanted)}"] if names - wanted else []
        raise InvalidRowsError(f"rows for table {table!r}: " + ", ".join(wrong))
    columns = [_converted(rows[field.name], field, table) for field in expected.schema]
    result = pa.Table.from_arrays(columns, schema=expected.schema)
    for field in expected.schema:
        _check_values(result, field, expected)
    _check_unique(result, expected)
    return result


def _converted(column: pa.ChunkedArray, field: pa.Field, table: str) -> pa.ChunkedArray:
    if pa.types.is_fixed_size_list(field.type) and hasattr(column.type, "list_size"):
        width, given = field.type.list_size, column.type.list_size
        if width != given:
            raise InvalidRowsError(
                f"table {table!r} holds vectors of width {width} in {field.name!r}, "
                f"these have width {given}; another encoder needs a table of its own"
            )
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise InvalidRowsError(
            f"column {field.name!r} of table {table!r} is {field.type}, got {column.type}: {error}"
        ) from error


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    while pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        column = pc.list_flatten(column)
    return column


def _check_values(rows: pa.Table, field: pa.Field, expected: TableSchema) -> None:
    column = rows[field.name]
    if not field.nullable and column.null_count:
        raise InvalidRowsError(
            f"column {field.name!r} of table {expected.name!r} has {column.null_count} nulls"
            + _culprit(rows, expected, pc.is_null(column))
        )
    if field.name in expected.key and pa.types.is_string(field.type):
        empty = pc.equal(column, "")
        if pc.any(empty, min_count=0).as_py() and field.name != "context":
            raise InvalidRowsError(f"key {field.name!r} of table {expected.name!r} is empty")
    values = _flat(column)
    if values.null_count and not field.nullable:
        raise InvalidRowsError(f"column {field.name!r} of table {expected.name!r} has nulls inside")
    if pa.types.is_floating(values.type) and not pc.all(pc.is_finite(values), min_count=0).as_py():
        bad = (
            pc.invert(pc.is_finite(column))
            if pa.types.is_floating(column.type)
            else pa.array(_rows_not_finite(column))
        )
        raise InvalidRowsError(
            f"column {field.name!r} of table {expected.name!r} has NaN or infinite values"
            + _culprit(rows, expected, bad)
        )


def _rows_not_finite(column: pa.ChunkedArray) -> list[bool]:
    return [not pc.all(pc.is_finite(row.values)).as_py() for row in column]


def _culprit(rows: pa.Table, expected: TableSchema, mask: pa.ChunkedArray) -> str:
    first = rows.select(list(expected.key)).filter(mask).slice(0, 1).to_pylist()
    return f", first at {first[0]}" if first else ""


def _check_unique(rows: pa.Table, expected: TableSchema) -> None:
    keys = list(expected.key)
    counts = rows.select(keys).group_by(keys).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if twice.num_rows:
        first = {key: twice[key][0].as_py() for key in keys}
        raise InvalidRowsError(
            f"{twice.num_rows} keys occur more than once in rows for table "
            f"{expected.name!r}, first {first}"
        )
