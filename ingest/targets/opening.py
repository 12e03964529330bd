"""Opens a target file by what is in it, whatever its name says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from featurestore.errors import InvalidInputError
from ingest.structures.opening import open_regular, read_head, shown, without_compression
from ingest.structures.refusals import InvalidStructureError
from ingest.targets.table import Table

_OLE = "\xd0\xcf\x11\xe0"
_ZIP = "PK\x03\x04"
_PARQUET = "PAR1"


def open_table(path: Path, sheet: str | None = None) -> Table:
    """The table in a file: text with separators, JSON lines, Parquet or an Excel workbook.

    Parameters
    ----------
    path : Path
        Text and JSON lines also compressed, as ``.gz`` or the like.
    sheet : str, optional
        Of a workbook; by default its only sheet with anything in it.

    Raises
    ------
    InvalidInputError
        If it cannot be opened, is empty or of another form, or two columns have one name.
    """
    try:
        head = read_head(path)
    except InvalidStructureError as error:
        raise InvalidInputError(f"{shown(path)}: {error}") from error
    if not head.strip():
        raise InvalidInputError(f"{shown(path)}: the file is empty")
    table = _table(path, head, sheet)
    twice = [name for name, times in Counter(table.columns).items() if times > 1 and name]
    if twice:
        raise InvalidInputError(
            f"{shown(path)}: several columns are named {twice[0]!r}; rename all but one"
        )
    return replace(table, columns=tuple(filter(None, table.columns)))


def _table(path: Path, head: str, sheet: str | None) -> Table:
    if sheet is not None and not head.startswith(_ZIP):
        raise InvalidInputError(f"{shown(path)} is no Excel workbook: it has no sheets")
    if head.startswith((_PARQUET, _ZIP)) and _is_compressed(path, head):
        raise InvalidInputError(f"{shown(path)}: unpack it first; only text is read compressed")
    if head.startswith(_PARQUET):
        from ingest.targets.parquet import open_parquet

        return open_parquet(path)
    if head.startswith(_ZIP):
        from ingest.targets.excel import open_excel

        return open_excel(path, sheet)
    if head.startswith(_OLE):
        raise InvalidInputError(
            f"{shown(path)} is an Excel file of before 2007; save it as .xlsx or CSV"
        )
    if head.lstrip().startswith("{"):
        from ingest.targets.json_lines import open_json_lines

        return open_json_lines(path)
    if head.lstrip().startswith("[") and without_compression(path.name).lower().endswith(".json"):
        raise InvalidInputError(
            f"{shown(path)} is a JSON list; write one object a line (JSON lines)"
        )
    from ingest.targets.delimited import open_delimited

    return open_delimited(path)


def _is_compressed(path: Path, head: str) -> bool:
    with open_regular(path) as file:
        return file.read(len(_ZIP)) != head[: len(_ZIP)].encode("latin-1")
