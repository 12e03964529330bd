"""Which schema version a table was written with, and whether this code is new enough for it.

Version 1 is the schema of the first release. Versions 2 to 4 declare further nullable columns, at
the end of their tables. A table says its version itself: it has columns that this code does not
know, or, for a change that no column shows, a number under ``featurestore.schema_version`` in
Lance's table metadata.
"""

from __future__ import annotations

from typing import Any

from featurestore.errors import FeatureStoreError, StorageError, UnknownNameError
from featurestore.tables.schemas import TableSchema, table_schema

SCHEMA_VERSION = 4
KEY = "featurestore.schema_version"


class NewerStoreError(FeatureStoreError):
    """A later version of this package has written the store."""


def check_not_newer(dataset: Any, table: str, uri: str) -> None:
    """Raise if a later version of this package has written the table.

    Raises
    ------
    NewerStoreError
        Naming what is not known here.
    """
    expected = declared_schema(dataset, table)
    if expected is None:
        return
    unknown = sorted(set(dataset.schema.names) - set(expected.schema.names))
    stamp = dataset.metadata.get(KEY, "1")
    if not stamp.isdecimal():
        raise StorageError(f"table {table!r} in {uri} has the schema {stamp!r:.40}, which is none")
    stamped = int(stamp)
    if unknown or stamped > SCHEMA_VERSION:
        why = f"it has the columns {', '.join(unknown)}" if unknown else f"its schema is {stamped}"
        raise NewerStoreError(
            f"table {table!r} in {uri} was written by a later version of this package: {why}, "
            f"this one knows schema {SCHEMA_VERSION}; upgrade with: "
            "pip install --upgrade materials-featurestore"
        )


def declared_schema(dataset: Any, table: str) -> TableSchema | None:
    """The schema declared for a table; None if the design has no such table."""
    schema = dataset.schema
    vector = schema.field("vector").type if "vector" in schema.names else None
    try:
        return table_schema(table, getattr(vector, "list_size", None))
    except UnknownNameError:
        return None
