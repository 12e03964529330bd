"""Moves rows that are wrong out of their tables and keeps them, byte for byte, in another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from featurestore.errors import MissingDataError
from featurestore.identity import canonical_json, sha256_hex
from featurestore.quoting import SQL, column, literal
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import TABLES

QUARANTINE = "quarantine"
_ROWS_AT_ONCE = 100


def quarantine(store: FeatureStore, table: str, keys: pa.Table, problem: str, run: Run) -> int:
    """Move the rows with these keys to the table ``quarantine``.

    They are written there before they are removed here. Equal copies of a row are kept once.

    Parameters
    ----------
    store : FeatureStore
        Where the rows are.
    table : str
        Their table.
    keys : pyarrow.Table
        The values of its key columns.
    problem : str
        What is wrong with them.
    run : Run
        The run that does it.

    Returns
    -------
    int
        Rows that were moved, copies counted.

    Raises
    ------
    StorageError
        If the storage refuses; then the rows are still where they were.
    """
    moved = 0
    for first in range(0, keys.num_rows, _ROWS_AT_ONCE):
        condition = _condition(keys.slice(first, _ROWS_AT_ONCE))
        dataset = store.dataset(table)
        if dataset is None:
            raise MissingDataError(f"table {table!r} has vanished from {store.uri}")
        rows: pa.Table = dataset.to_table(filter=condition)
        entries = {row["digest"]: row for row in _entries(table, rows, keys.column_names)}
        now = datetime.now(UTC)
        shared = {"problem": problem, "moved_at": now, "run_id": run.run_id}
        kept = [entry | shared for entry in entries.values()]
        schema = TABLES[QUARANTINE].schema
        store.merge(QUARANTINE, pa.Table.from_pylist(kept, schema=schema))
        store.remove(table, condition)
        moved += rows.num_rows
    return moved


def _entries(table: str, rows: pa.Table, key: list[str]) -> Iterator[dict[str, Any]]:
    for number in range(rows.num_rows):
        row = rows.slice(number, 1)
        sink = pa.BufferOutputStream()
        # A copy of the one row: a slice would bring its neighbours' buffers along.
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(row.take([0]))
        content = sink.getvalue().to_pybytes()
        named = {name: str(row[name][0].as_py()) for name in key}
        yield {
            "digest": sha256_hex(table.encode() + b"\0" + content),
            "table": table,
            "key": canonical_json(named),
            "content": content,
        }


def _condition(keys: pa.Table) -> SQL:
    """An SQL condition that holds for the rows with these keys."""
    rows = [
        SQL(" AND ".join(f"{column(name)} {_equals(row[name])}" for name in keys.column_names))
        for row in keys.to_pylist()
    ]
    return SQL(" OR ".join(f"({row})" for row in rows))


def _equals(value: object) -> SQL:
    return SQL("IS NULL" if value is None else f"= {literal(value)}")
