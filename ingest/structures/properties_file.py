"""Reads targets from a CSV file: one column with the material ids, one for each property."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.files import check_regular
from featurestore.registry import PropertyRegistry

_ID_COLUMNS = ("material_id", "jid", "id")


def read_property_file(path: Path, registry: PropertyRegistry) -> Iterator[tuple[str, str, str]]:
    """(material_id, property, value as text) for every cell.

    Raises
    ------
    InvalidInputError
        If the file is missing, has no id column or a row of another length, or a column is not in
        the property registry.
    """
    check_regular(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            id_column = next((name for name in _ID_COLUMNS if name in header), None)
            if id_column is None:
                raise InvalidInputError(
                    f"{path}: no column with the material ids; name one of them "
                    f"{' or '.join(_ID_COLUMNS)} (columns: {', '.join(header) or 'none'})"
                )
            position = header.index(id_column)
            columns = [(n, name) for n, name in enumerate(header) if n != position]
            for _, name in columns:
                registry[name]
            for row in rows:
                if not row:
                    continue
                if len(row) != len(header):
                    raise InvalidInputError(
                        f"{path}, line {rows.line_num}: {len(row)} cells, the header has "
                        f"{len(header)}"
                    )
                for number, name in columns:
                    yield row[position].strip(), name, row[number]
    except UnknownNameError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error
