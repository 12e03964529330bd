"""Excel workbooks, read row by row; no formula is run: a cell has the value that was saved."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from ingest.structures.opening import shown
from ingest.structures.readers.in_words import in_words
from ingest.targets.table import ROWS_A_BATCH, Batch, Table, unnamed

_MOST = 2 << 30  # bytes, unpacked


def open_excel(path: Path, sheet: str | None = None) -> Table:
    """A sheet of a workbook, with the names of the columns in its first row that is not blank.

    Raises
    ------
    InvalidInputError
        If it cannot be read, several sheets have content and none is named, there is no such
        sheet, or it has no rows.
    """
    with _sheets(path) as sheets:
        chosen = _chosen(path, sheets, sheet)
        head = list(islice(_rows(*sheets[chosen]), 2))
    if len(head) < 2:
        raise InvalidInputError(f"{shown(path)} has no rows below a header")
    header = tuple(_name(cell) for cell in head[0][1])

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        positions = {name: header.index(name) for name in wanted}
        with _sheets(path) as sheets:
            below = islice(_rows(*sheets[chosen]), 1, None)
            while part := list(islice(below, ROWS_A_BATCH)):
                yield Batch(
                    [number for number, _ in part],
                    {
                        name: [row[at] if at < len(row) else None for _, row in part]
                        for name, at in positions.items()
                    },
                )

    return Table(path, header, batches, "row", unnamed(header, head[1][1]))


@contextmanager
def _sheets(path: Path) -> Iterator[dict[str, tuple[Any, Any]]]:
    """Each sheet by its name: with the values that were saved, and with its formulas."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise InvalidInputError(
            f"{shown(path)}: Excel workbooks are read by openpyxl; install it with "
            "pip install 'materials-featurestore[excel]', or save the sheet as CSV"
        ) from error
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MOST:
            raise InvalidInputError(f"{shown(path)} would unpack to more than {_MOST >> 30} GiB")
        values = load_workbook(path, read_only=True, data_only=True)
        formulas = load_workbook(path, read_only=True)
        try:
            yield {one.title: (one, formulas[one.title]) for one in values.worksheets}
        finally:
            values.close()
            formulas.close()
    except InvalidInputError:
        raise
    except Exception as error:  # a broken part of a workbook is a KeyError, a ParseError, anything
        raise InvalidInputError(
            f"cannot read {shown(path)} ({in_words(error)}): save it anew, or as CSV"
        ) from error


def _chosen(path: Path, sheets: dict[str, tuple[Any, Any]], sheet: str | None) -> str:
    if sheet is not None:
        if sheet not in sheets:
            raise InvalidInputError(
                f"{shown(path)} has no sheet {sheet!r}; it has {', '.join(map(repr, sheets))}"
            )
        return sheet
    full = [name for name, pair in sheets.items() if next(_rows(*pair), None) is not None]
    if len(full) > 1:
        raise InvalidInputError(
            f"{shown(path)} has several sheets, {', '.join(map(repr, full))}: name one with --sheet"
        )
    if not full:
        raise InvalidInputError(f"{shown(path)} has no rows below a header")
    return full[0]


def _rows(values: Any, formulas: Any) -> Iterator[tuple[int, list[Any]]]:
    """The rows that are not blank, by their numbers.

    A formula without a saved value, as programs other than spreadsheets write it, stays a text.
    """
    for one in (values, formulas):
        one.reset_dimensions()  # what a file says about them may be wrong, and cut rows off
    both = zip(values.iter_rows(values_only=True), formulas.iter_rows(), strict=True)
    for number, (saved, written) in enumerate(both, start=1):
        row = [_cell(value, cell) for value, cell in zip(saved, written, strict=True)]
        if any(cell is not None for cell in row):
            yield number, row


def _cell(value: Any, cell: Any) -> Any:
    """The value, or its formula; a `Failure` where 12.5% is shown and 0.125 saved."""
    if value is None:
        return cell.value
    if isinstance(value, int | float) and "%" in cell.number_format:
        return Failure(
            "InvalidTarget",
            f"it shows {100 * value:g}% and {value:g} is saved: which is meant? give the column a "
            "format without %",
        )
    return value


def _name(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()
