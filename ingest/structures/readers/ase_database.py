"""Reads ASE's SQLite data base (``.db``) by its arrays: no pickle, no constraint is built."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import numpy as np

from featurestore.failure import Failure
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.readers.ase_form import ase_targets, crystal_of_ase
from ingest.structures.readers.base import Content, Found, parse_json
from ingest.structures.refusals import (
    InvalidStructureError,
    LimitError,
    NoStructureError,
    UnreadableFileError,
)

_COLUMNS = ("id", "numbers", "positions", "cell", "pbc")
_RESULTS = ("energy", "magmom", "key_value_pairs")
_MOST_STEPS = 50_000  # of 1,000 instructions each; a table is read in far fewer


def recognises_database(head: str) -> bool:
    """Whether a file is one of SQLite."""
    return head.startswith("SQLite format 3\x00")


def read_ase_database(content: Content) -> Iterator[Found]:
    """The rows of the table ``systems``, in the order of their ids.

    Raises
    ------
    UnreadableFileError
        If it is no SQLite file, or damaged.
    NoStructureError
        If it has no such table.
    """
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(content.data)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        steps = iter(range(_MOST_STEPS))
        connection.set_progress_handler(lambda: next(steps, None) is None, 1000)
        kind = connection.execute(
            "SELECT type FROM sqlite_master WHERE name = 'systems'"
        ).fetchone()
        if kind is None or kind[0] != "table":
            raise NoStructureError("the SQLite file has no table 'systems', so it is none of ASE")
        some = False
        there = {row[1] for row in connection.execute("PRAGMA table_info(systems)")}
        columns = [*_COLUMNS, *(name for name in _RESULTS if name in there)]
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM systems ORDER BY id")
        for row in rows:
            some = True
            yield _of_row(dict(zip(columns, row, strict=True)))
        if not some:
            raise NoStructureError("the ASE data base is empty")
    except (sqlite3.Error, OverflowError) as error:
        raise UnreadableFileError(f"the SQLite file cannot be read: {error}") from error
    finally:
        connection.close()


def _of_row(row: dict[str, Any]) -> Found:
    block = str(row["id"])
    try:
        numbers = _numbers(row["numbers"], np.dtype("<i4"))
        if len(numbers) > LARGEST_CELL:
            raise LimitError(f"it has {len(numbers):,} atoms, the largest cell {LARGEST_CELL:,}")
        positions = _numbers(row["positions"], np.dtype("<f8"))
        cell = _numbers(row["cell"], np.dtype("<f8"))
        if len(positions) != 3 * len(numbers) or len(cell) != 9:
            raise UnreadableFileError("its positions or its cell have another length")
        if not isinstance(row["pbc"], int) or row["pbc"] & 7 != 7:
            raise NoStructureError("it is not periodic in three directions")
        crystal = crystal_of_ase(
            cell.reshape(3, 3).astype(float),
            numbers.tolist(),
            positions.reshape(-1, 3).astype(float),
        )
    except InvalidStructureError as error:
        return Found(Failure.of(error), block)
    return Found(crystal, block, targets=_targets(row, crystal.n_atoms))


def _targets(row: dict[str, Any], atoms: int) -> dict[str, float]:
    written = row.get("key_value_pairs")
    pairs = parse_json(written) if isinstance(written, str) and written else {}
    return ase_targets(row | {"key_value_pairs": pairs}, atoms)


def _numbers(blob: Any, kind: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if not isinstance(blob, bytes) or len(blob) % kind.itemsize:
        raise UnreadableFileError("an array of it is not stored as bytes of numbers")
    return np.frombuffer(blob, dtype=kind)
