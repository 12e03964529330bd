"""Parquet files, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import InvalidInputError
from ingest.structures.opening import shown
from ingest.targets.table import ROWS_A_BATCH, Batch, Table


def open_parquet(path: Path) -> Table:
    """The top-level columns of a Parquet file.

    Raises
    ------
    InvalidInputError
        If it cannot be read, or has no rows.
    """
    try:
        with pq.ParquetFile(path) as file:
            columns, rows = tuple(file.schema_arrow.names), file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InvalidInputError(f"cannot read {shown(path)}: {error}") from error
    if not rows:
        raise InvalidInputError(f"{shown(path)} has columns and no rows")

    def batches(wanted: Sequence[str]) -> Iterator[Batch]:
        start = 1
        try:
            with pq.ParquetFile(path) as file:
                for part in file.iter_batches(ROWS_A_BATCH, columns=list(wanted)):
                    cells = {name: part.column(name).to_pylist() for name in wanted}
                    yield Batch(range(start, start + part.num_rows), cells)
                    start += part.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InvalidInputError(f"cannot read {shown(path)}: {error}") from error

    return Table(path, columns, batches, "row")
