"""What every reader of target files gives: the columns of a table, and its rows in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

ROWS_A_BATCH = 50_000


@dataclass(frozen=True)
class Batch:
    """Some rows of a table, as they stand in it.

    Parameters
    ----------
    numbers : sequence of int
        The line or row of each, counted from 1 as an editor or a spreadsheet does.
    columns : mapping of str to sequence
        The cells of each column that was asked for, in the order of the rows.
    refused : mapping of int to str
        Rows that cannot be used, by their number, and why; they are not among the others.
    """

    numbers: Sequence[int]
    columns: Mapping[str, Sequence[Any]]
    refused: Mapping[int, str] = field(default_factory=dict)


def unnamed(header: Sequence[str], first: Sequence[Any]) -> tuple[str, ...]:
    """A note on columns without a name that have a value in the first row."""
    pairs = zip_longest(header, first)
    number = sum(not name and cell not in (None, "") for name, cell in pairs)
    if not number:
        return ()
    columns = "columns without a name are" if number > 1 else "column without a name is"
    return (f"{number} {columns} left alone",)


@dataclass(frozen=True)
class Table:
    """A file of rows under named columns, opened and not yet read.

    Parameters
    ----------
    path : Path
    columns : tuple of str
        Their names, in the order of the file.
    batches : callable
        From the names of the columns that are wanted to the rows, `ROWS_A_BATCH` at a time.
    place : str
        What a row is called in it: "line" or "row".
    notes : tuple of str
        What was not plain in opening it.
    """

    path: Path
    columns: tuple[str, ...]
    batches: Callable[[Sequence[str]], Iterator[Batch]]
    place: str = "line"
    notes: tuple[str, ...] = ()
