"""Texts that a spreadsheet would run as formulas, made harmless for CSV files."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

# What begins a formula in Excel, LibreOffice or Google Sheets, also after blanks, after a quote
# that the program drops, and in full width.
_FORMULA = re.compile("[\\s\"'\ufeff\0]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def harmless(text: str) -> str:
    """``text`` with an apostrophe before what a spreadsheet takes for a formula.

    Numbers stay. The apostrophe is part of the text when it is read again: Parquet and Arrow files
    hold the exact one.

    >>> harmless("=1+1"), harmless("-3.5"), harmless("NaCl")
    ("'=1+1", '-3.5', 'NaCl')
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def harmless_table(table: pa.Table) -> pa.Table:
    """The table with its texts, and the names of its columns, made `harmless`."""
    columns = [
        pa.chunked_array([_guarded(chunk) for chunk in column.chunks], pa.string())
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=[harmless(name) for name in table.column_names])


def _guarded(values: Any) -> pa.Array:
    found = [None if value is None else harmless(value) for value in values.to_pylist()]
    return pa.array(found, pa.string())
