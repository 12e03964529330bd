"""Excel workbooks, by calamine, which runs no formula: a cell has the value that was saved."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError
from ingest.structures.opening import shown
from ingest.targets.table import ROWS_A_BATCH, Batch, Table

_MOST = 2 << 30  # bytes, unpacked


def open_excel(path: Path, sheet: str | None = None) -> Table:
    """A sheet of a workbook, with the names of the columns in its first row that is not blank.

    Raises
    ------
    InvalidInputError
        If it cannot be read, several sheets have content and none is named, there is no such
        sheet, or it has no rows.
    """
    rows, numbers = _rows(path, sheet)
    header = tuple(_name(cell) for cell in rows[0])

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        positions = {name: header.index(name) for name in wanted}
        below = zip(numbers[1:], rows[1:], strict=True)
        while part := list(islice(below, ROWS_A_BATCH)):
            cells = {name: [row[at] for _, row in part] for name, at in positions.items()}
            yield Batch([number for number, _ in part], cells)

    return Table(path, header, batches, "row")


def _rows(path: Path, sheet: str | None) -> tuple[list[list[Any]], list[int]]:
    """The rows that are not blank, and their numbers."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise InvalidInputError(
            f"{shown(path)}: Excel workbooks are read with python-calamine; install it with "
            "pip install 'materials-featurestore[excel]', or save the sheet as CSV"
        ) from error
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MOST:
            raise InvalidInputError(f"{shown(path)} would unpack to more than {_MOST >> 30} GiB")
        with CalamineWorkbook.from_path(path) as book:
            names = [sheet] if sheet is not None else book.sheet_names
            if sheet is not None and sheet not in book.sheet_names:
                raise InvalidInputError(
                    f"{shown(path)} has no sheet {sheet!r}; it has "
                    f"{', '.join(map(repr, book.sheet_names))}"
                )
            found = {
                name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in names
            }
    except (CalamineError, zipfile.BadZipFile, OSError) as error:
        raise InvalidInputError(f"cannot read {shown(path)}: {error}") from error
    full = {name: rows for name, rows in found.items() if any(map(any, rows))}
    if len(full) > 1:
        raise InvalidInputError(
            f"{shown(path)} has several sheets, {', '.join(map(repr, full))}: name one with --sheet"
        )
    rows: list[list[Any]] = next(iter(full.values()), [])
    kept = [(row, number) for number, row in enumerate(rows, start=1) if any(_given(row))]
    if len(kept) < 2:
        raise InvalidInputError(f"{shown(path)} has no rows below a header")
    return [row for row, _ in kept], [number for _, number in kept]


def _given(row: Sequence[Any]) -> list[bool]:
    return [cell != "" for cell in row]


def _name(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
