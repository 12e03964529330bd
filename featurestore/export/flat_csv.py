"""A training view as CSV with a column for each element of a vector."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from featurestore.output.spreadsheet import harmless_table
from featurestore.views.view import TrainingView


def write_csv(view: TrainingView, path: Path) -> None:
    """Write the rows, then columns such as ``structure.atom_0``; float32 come back bit by bit.

    A text that a spreadsheet would run gets an apostrophe before it; Parquet holds the exact one.
    """
    table = view.rows
    for name, start, stop in view.segments:
        for column in range(start, stop):
            values = pa.array(view.features[:, column])
            table = table.append_column(f"{name}_{column - start}", values)
    csv.write_csv(harmless_table(table), path)
