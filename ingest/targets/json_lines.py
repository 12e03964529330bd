"""JSON lines: one object a line, its keys are the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from featurestore.errors import InvalidInputError
from ingest.structures.opening import shown
from ingest.targets.table import ROWS_A_BATCH, Batch, Table
from ingest.targets.text import encoding_of, text_of

_LONGEST_LINE = 64 << 20  # characters


def open_json_lines(path: Path) -> Table:
    """The objects of a file; it is read once for its keys, which may differ from line to line.

    Raises
    ------
    InvalidInputError
        If it cannot be read, or no line of it is an object.
    """
    encoding, notes = encoding_of(path)
    keys: dict[str, None] = {}
    with text_of(path, encoding) as text:
        for _, found in _objects(text, path):
            if isinstance(found, dict):
                keys.update(dict.fromkeys(found))
    if not keys:
        raise InvalidInputError(f"{shown(path)}: no line of it is a JSON object with keys")

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        with text_of(path, encoding) as text:
            yield from _batches(_objects(text, path), wanted)

    return Table(path, tuple(keys), batches, "line", notes)


def _batches(
    objects: Iterator[tuple[int, dict[str, Any] | str]], wanted: Sequence[str]
) -> Iterator[Batch]:
    numbers: list[int] = []
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    refused: dict[int, str] = {}
    for number, found in objects:
        if isinstance(found, str):
            refused[number] = found
            continue
        numbers.append(number)
        for name, cells in columns.items():
            cells.append(found.get(name))
        if len(numbers) == ROWS_A_BATCH:
            yield Batch(numbers, columns, refused)
            numbers, columns, refused = [], {name: [] for name in wanted}, {}
    yield Batch(numbers, columns, refused)


def _objects(text: IO[str], path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The object of each line by its number, or why there is none; blank lines are passed over."""
    number = 0
    while line := text.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise InvalidInputError(
                f"{shown(path)}, line {number}: it has more than {_LONGEST_LINE:,} characters"
            )
        if line.strip():
            yield number, _object(line)


def _object(line: str) -> dict[str, Any] | str:
    try:
        found = json.loads(line, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        return f"no valid JSON: {error}"
    return found if isinstance(found, dict) else "no JSON object"


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
