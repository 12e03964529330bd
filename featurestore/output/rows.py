"""Arrow tables as people and programs want them: aligned text, CSV, JSON, Parquet, Arrow, NumPy."""

from __future__ import annotations

import json
import math
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from featurestore.errors import InvalidInputError, StorageError
from featurestore.output.formats import FILE_FORMATS
from featurestore.output.terminal import one_line

_CELL_WIDTH = 60


def print_table(
    table: pa.Table, output_format: str = "table", stream: IO[str] | None = None
) -> None:
    """Print a table as ``table``, ``csv``, ``json`` or ``ndjson``."""
    _WRITERS[output_format](_distinct(table), stream or sys.stdout)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output; times are texts, NaN and infinity are null."""
    json.dump(_plain(value), sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def write_table(table: pa.Table, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table to a file whose suffix gives the format; the file appears whole or not at all.

    Parameters
    ----------
    table : pyarrow.Table
        What to write.
    path : Path
        Ends in .parquet, .arrow, .csv, .json, .ndjson or .npz.
    metadata : mapping of str to str
        Kept in the schema of Parquet and Arrow files, and as ``metadata`` in ``.npz``.

    Raises
    ------
    InvalidInputError
        If the suffix is another one.
    StorageError
        If the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FILE_FORMATS:
        raise InvalidInputError(
            f"cannot tell the format of {path}: name a file that ends in {', '.join(FILE_FORMATS)}"
        )
    table = _distinct(table)
    if metadata:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            from pyarrow import parquet

            parquet.write_table(table, temporary)
        elif suffix == ".arrow":
            with pa.ipc.new_file(temporary, table.schema) as writer:
                writer.write_table(table)
        elif suffix == ".npz":
            with temporary.open("wb") as file:
                np.savez(file, **_arrays(table), metadata=np.array(json.dumps(metadata or {})))
        else:
            with temporary.open("w", encoding="utf-8", newline="") as stream:
                _WRITERS[suffix[1:]](table, stream)


def _distinct(table: pa.Table) -> pa.Table:
    """The table with its second column ``a`` called ``a_2`` and so on: no column is lost."""
    names: list[str] = []
    for name in table.column_names:
        candidate, number = name, 2
        while candidate in names:
            candidate, number = f"{name}_{number}", number + 1
        names.append(candidate)
    return table.rename_columns(names)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an error.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def _arrays(table: pa.Table) -> dict[str, Any]:
    """Columns as arrays that need no pickle: nulls are NaN or "", other types are JSON text."""
    arrays = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_boolean(column.type) and column.null_count:
            column = column.cast(pa.int8())
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        if pa.types.is_fixed_size_list(column.type) and not column.null_count:
            values = column.flatten().to_numpy(zero_copy_only=False)
            array = values.reshape(len(column), column.type.list_size)
        else:
            array = column.to_numpy(zero_copy_only=False)
        if array.dtype == object:
            array = np.array([_text(value) for value in _values(column)], dtype=np.str_)
        arrays[name] = array
    return arrays


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as dictionaries, also where Python has no value for a cell.

    Dates and times beyond Python's years, and those that DuckDB calls infinite, are text.
    """
    try:
        return list(table.to_pylist())
    except (OverflowError, ValueError):
        columns = [_values(column.combine_chunks()) for column in table.columns]
        names = table.column_names
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: Any) -> list[Any]:
    """The values of an array; those that Python cannot hold as text."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return [_moment(value) for value in column]
    if pa.types.is_struct(kind):
        parts = [_values(column.field(number)) for number in range(kind.num_fields)]
        names = [field.name for field in kind]
        made = [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]
        return _with_nulls(column, made or [{} for _ in range(len(column))])
    if pa.types.is_map(kind):
        return _with_nulls(column, [_entries(value) for value in column])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [None if value.values is None else _values(value.values) for value in column]
    return [_one(value) for value in column]


def _with_nulls(column: Any, values: list[Any]) -> list[Any]:
    there = column.is_valid().to_pylist()
    return [value if valid else None for value, valid in zip(values, there, strict=True)]


def _entries(value: Any) -> list[tuple[Any, Any]] | None:
    if value.values is None:
        return None
    keys, items = (_values(value.values.field(number)) for number in range(2))
    return list(zip(keys, items, strict=True))


def _one(value: Any) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return str(value)


# The numbers by which DuckDB says infinity.
_INFINITE = {2**31 - 1: "infinity", -(2**31 - 1): "-infinity"}
_INFINITE |= {2**63 - 1: "infinity", -(2**63 - 1): "-infinity"}


def _moment(value: Any) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        number = int(value.value)
        if number in _INFINITE:
            return _INFINITE[number]
        unit = {"date32[day]": "D", "date64[ms]": "ms"}.get(str(value.type)) or value.type.unit
        moment: Any = np.datetime64
        return str(moment(number, unit))


def _plain(value: Any) -> Any:
    """``value`` as JSON can hold it; NaN and infinity, which it cannot, become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    # A MonthDayNano interval is a tuple, too.
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    value = _plain(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def cell(value: Any) -> str:
    """A value as it stands in a printed table: on one line, at most 60 characters."""
    text = f"{value:.6g}" if isinstance(value, float) else one_line(_text(value))
    return text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 1] + "…"


def _print_aligned(table: pa.Table, stream: IO[str]) -> None:
    numeric = [
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        for kind in table.schema.types
    ]
    rows = [[cell(value) for value in row.values()] for row in rows_of(table)]
    names = [one_line(name) for name in table.column_names]
    widths = [
        max([len(name), *(len(row[index]) for row in rows)]) for index, name in enumerate(names)
    ]

    def line(cells: list[str]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    print(line(names), file=stream)
    print("  ".join("-" * width for width in widths), file=stream)
    for row in rows:
        print(line(row), file=stream)


def _print_csv(table: pa.Table, stream: IO[str]) -> None:
    import csv

    plain = csv.writer(stream, lineterminator="\n")
    # Readers take a carriage return for the end of a row, and csv quotes it only if it is.
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for cells in (table.column_names, *(map(_text, row.values()) for row in rows_of(table))):
        row = list(cells)
        (quoting if any("\r" in cell for cell in row) else plain).writerow(row)


def _print_json(table: pa.Table, stream: IO[str]) -> None:
    json.dump(_plain(rows_of(table)), stream, ensure_ascii=False, indent=1)
    stream.write("\n")


def _print_ndjson(table: pa.Table, stream: IO[str]) -> None:
    for row in rows_of(table):
        stream.write(json.dumps(_plain(row), ensure_ascii=False) + "\n")


_WRITERS = {
    "table": _print_aligned,
    "csv": _print_csv,
    "json": _print_json,
    "ndjson": _print_ndjson,
}
