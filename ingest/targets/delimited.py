"""Text with separators: which separator and quotes, found out from its first rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError
from ingest.structures.opening import shown
from ingest.targets.table import ROWS_A_BATCH, Batch, Table, unnamed
from ingest.targets.text import encoding_of, text_of

_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"sep=([,;|\t])\r?\n")  # it tells Excel
_ROWS_TO_LOOK_AT = 100
_CHARACTERS_TO_LOOK_AT = 1 << 18


def open_delimited(path: Path) -> Table:
    """CSV and its relatives, with the names of the columns in the first row.

    Raises
    ------
    InvalidInputError
        If it cannot be read, no separator makes a table of it, or it has no rows.
    """
    encoding, notes = encoding_of(path)
    lines = _first_lines(path, encoding)
    named = _SEPARATOR_LINE.match(lines[0])
    form = _form(path, lines[1:] if named else lines, named[1] if named else _SEPARATORS)
    with _rows(path, encoding, form) as rows:
        if named:
            next(rows)
        names = next((row for row in rows if any(row)), None)
        if names is None:
            raise InvalidInputError(f"{shown(path)} has separators alone, and no names of columns")
        header = tuple(name.strip() for name in names)
        start = rows.line_num
        first = next((row for row in rows if any(row)), None)
    if first is None:
        raise InvalidInputError(f"{shown(path)} has a header and no rows below it")

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        with _rows(path, encoding, form) as rows:
            while rows.line_num < start:
                next(rows)
            yield from _batches(rows, header, wanted)

    return Table(path, header, batches, "line", (*notes, *unnamed(header, first)))


def _batches(rows: Any, header: Sequence[str], wanted: Sequence[str]) -> Iterator[Batch]:
    width = len(header)
    positions = {name: header.index(name) for name in wanted}
    more = True
    while more:
        numbers: list[int] = []
        kept: list[list[str]] = []
        refused: dict[int, str] = {}
        more = False
        for row in islice(rows, ROWS_A_BATCH):
            more = True
            if len(row) == width:
                kept.append(row)
                numbers.append(rows.line_num)
            elif any(row):
                refused[rows.line_num] = f"it has {len(row)} cells, the header {width}"
        yield Batch(
            numbers, {name: [row[at] for row in kept] for name, at in positions.items()}, refused
        )


def _first_lines(path: Path, encoding: str) -> list[str]:
    with text_of(path, encoding) as text:
        head = text.read(_CHARACTERS_TO_LOOK_AT)
        lines = head.splitlines(keepends=True)
        if len(lines) > 1 and text.read(1):
            lines.pop()  # cut off
    return lines[:_ROWS_TO_LOOK_AT]


def _form(path: Path, lines: Sequence[str], separators: Sequence[str]) -> Mapping[str, Any]:
    """The separator with which most rows have as many cells as the header, and the quotes."""
    best: tuple[float, int] = (0.0, 1)
    form: Mapping[str, Any] | None = None
    for separator in separators if lines else ():
        quote = "'" if _all_in_single_quotes(lines[0], separator) else '"'
        given = {"delimiter": separator, "quotechar": quote}
        try:
            # Not strict: the lines may end within quotes.
            rows = [row for row in csv.reader(lines, delimiter=separator, quotechar=quote) if row]
        except csv.Error:
            continue
        width = len(rows[0])
        alike = sum(len(row) == width for row in rows) / len(rows)
        if width > 1 and (alike, width) > best:
            best, form = (alike, width), given
    if form is None:
        raise InvalidInputError(
            f"{shown(path)}: no table of several columns; its first line is "
            f"{''.join(lines[:1]).strip()[:80]!r}, and cells are separated by comma, semicolon, "
            "tab or |"
        )
    return form


def _all_in_single_quotes(header: str, separator: str) -> bool:
    cells = header.strip().split(separator)
    return all(len(one) > 1 and one[0] == one[-1] == "'" for one in cells)


@contextmanager
def _rows(path: Path, encoding: str, form: Mapping[str, Any]) -> Iterator[Any]:
    with text_of(path, encoding) as text:
        rows = csv.reader(text, strict=True, **form)
        try:
            yield rows
        except csv.Error as error:
            raise InvalidInputError(
                f"{shown(path)}, line {rows.line_num}: {error}; quotes may be open there"
            ) from error
