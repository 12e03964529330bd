"""Rows of a table as material records: which column is the structure, which the id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.output.terminal import one_line
from ingest.structures.ids import LONGEST_ID, why_no_id
from ingest.structures.opening import shown
from ingest.structures.readers.base import Found, parse_json
from ingest.structures.readers.json_forms import of_document
from ingest.structures.readers.registry import reader_of, stem_of
from ingest.structures.records import MaterialRecord
from ingest.structures.refusals import (
    InvalidStructureError,
    NoStructureError,
    UnreadableFileError,
)
from ingest.structures.tables.files import read_rows, table_files

_STRUCTURES = ("structure", "atoms", "cif")
_IDS = ("material_id", "matbench_id", "jid", "mpid", "mp_id", "id")
_CIF = "cell.cif"


@dataclass(frozen=True)
class Taken:
    """What is taken from a table.

    Parameters
    ----------
    columns : mapping of str to str
        The property that each column is taken as.
    structure, id : str, optional
        The columns of the structures and ids; by default the one with a usual name. Without a
        column of ids a material is called by its file and what its row is called there.
    nearest_order : bool
        Whether disordered sites are ordered.
    """

    columns: Mapping[str, str]
    structure: str | None = None
    id: str | None = None
    nearest_order: bool = False


def read_table(path: Path, taken: Taken) -> Iterator[MaterialRecord]:
    """The materials of a file or folder, row by row; what is wrong with one is its `Failure`.

    Raises
    ------
    InvalidInputError
        If it is no table, has no column of structures, or is damaged; rows before the damage have
        been given out by then.
    UnknownNameError
        If it lacks a column that was named.
    """
    files = table_files(path)
    for file in files:
        inside = shown(file.relative_to(path) if path.is_dir() else Path(file.name))
        chosen: Taken | None = None
        for index, row in read_rows(file):
            chosen = chosen or _chosen(row, taken, inside)
            yield _record(row, index, inside, chosen)


def _chosen(row: Mapping[str, Any], taken: Taken, inside: str) -> Taken:
    for name in filter(None, (taken.structure, taken.id, *taken.columns)):
        if name not in row:
            raise UnknownNameError(f"column of {inside}", name, row)
    for column, name in taken.columns.items():
        if column != name and name in row and name not in taken.columns:
            raise InvalidInputError(
                f"{inside} has a column {name!r}, and {column!r} is taken as {name} as well: take "
                f"{column!r} as another property"
            )
    usual = [name for name in _STRUCTURES if name in row]
    if taken.structure is None and len(usual) != 1:
        found = f"several columns ({', '.join(usual)})" if usual else "no column"
        raise InvalidInputError(
            f"{inside} has {found} with a usual name for structures; name it (--structure COLUMN; "
            f"columns: {', '.join(map(str, row))[:300]})"
        )
    return Taken(
        columns=taken.columns,
        structure=taken.structure or usual[0],
        id=taken.id or next((name for name in _IDS if name in row), None),
        nearest_order=taken.nearest_order,
    )


def _record(row: Mapping[str, Any], index: Any, inside: str, taken: Taken) -> MaterialRecord:
    name = nameless = f"{_stem(inside)}/{one_line(str(index))[:LONGEST_ID]}"
    try:
        if taken.id is not None:
            name = _id(row.get(taken.id), taken.id)
        found = _found(row.get(str(taken.structure)), taken)
    except InvalidStructureError as error:
        failure = _placed(Failure.of(error), inside, nameless)
        return MaterialRecord(name, failure, source_file=inside)
    if isinstance(found.structure, Failure):
        found = replace(found, structure=_placed(found.structure, inside, nameless))
    ordered = any(note.startswith("ordered:") for note in found.notes)
    skipped = {taken.structure, taken.id, *taken.columns}
    targets = {key: value for key, value in row.items() if key not in skipped and _is_plain(value)}
    return MaterialRecord(
        material_id=f"{name}~ordered" if ordered else name,
        structure=found.structure,
        targets=targets | {prop: row.get(column) for column, prop in taken.columns.items()},
        source_file=inside,
        notes=found.notes,
        space_group=found.space_group,
    )


def _placed(failure: Failure, inside: str, row: str) -> Failure:
    return replace(failure, message=f"{inside}, row {row}: {failure.message}")


def table_name(path: Path) -> str:
    """A name for the data set of a file or folder: without suffixes of formats."""
    name = shown(path.resolve().name)
    return name if path.is_dir() else _stem(name)


def _stem(inside: str) -> str:
    folder, slash, name = inside.rpartition("/")
    stem = stem_of(name)
    for suffix in (".parquet", ".arrow"):
        stem = stem.removesuffix(suffix)
    return f"{folder}{slash}{stem}"


def _id(value: Any, column: str) -> str:
    given = str(value) if type(value) is int else value
    reason = why_no_id(given) if isinstance(given, str) else "is no text"
    if reason:
        raise UnreadableFileError(f"its {column} {reason}")
    return given


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _found(cell: Any, taken: Taken) -> Found:
    """The structure of a cell: plain data in a form that JSON files have, as text too, or CIF."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "["):
        cell = parse_json(cell)
    if isinstance(cell, str) and cell.strip():
        reader = reader_of(_CIF, lambda: "")
        assert reader is not None  # a suffix that ships
        data = cell.encode("utf-8", "backslashreplace")
        return _only(reader.found(_CIF, data, taken.nearest_order))
    found = of_document(cell, taken.nearest_order) if isinstance(cell, dict) else None
    if found is None:
        raise NoStructureError(f"the column {taken.structure!r} holds no structure")
    return found


def _only(found: Sequence[Found]) -> Found:
    if len(found) != 1:
        raise UnreadableFileError(f"its CIF holds {len(found)} structures, and one is wanted")
    return found[0]
