"""Tables whose shared columns stand above them."""

from __future__ import annotations

from collections.abc import Sequence

import click
import pyarrow as pa

from featurestore.output.rows import print_table
from train.display.rounding import spread_of_seeds


def print_captioned(table: pa.Table, output_format: str, shared: Sequence[str]) -> None:
    """Print a table; as ``table``, columns that do not tell its rows apart stand above it.

    Parameters
    ----------
    table : pyarrow.Table
        What to print.
    output_format : str
        As for `print_table`; other formats than ``table`` keep every column.
    shared : sequence of str
        Columns that become a caption where they hold a single value; a null says that the column
        does not apply to its row, and does not count.
    """
    if output_format != "table":
        print_table(table, output_format)
        return
    captions = {}
    for name in shared:
        values = table[name].drop_null().unique().to_pylist()
        if table.num_rows and len(values) < 2:
            captions[name] = values
    for name, values in captions.items():
        if values:
            click.echo(f"{name:18} {values[0]}")
    if captions:
        click.echo()
    print_table(table.drop_columns(list(captions)), output_format)


def with_readable_spreads(table: pa.Table, spread: str, of: str) -> pa.Table:
    """A table whose standard deviations over seeds are for reading, as `spread_of_seeds` has them.

    Parameters
    ----------
    table : pyarrow.Table
        With numbers of several seeds.
    spread : str
        The column of the standard deviations; without it the table is as it was.
    of : str
        The column of the errors by whose size it is judged what is rounding.
    """
    if spread not in table.column_names:
        return table
    pairs = zip(table[of].to_pylist(), table[spread].to_pylist(), strict=True)
    said = pa.array([spread_of_seeds(value or 0.0, std) for value, std in pairs], pa.string())
    return table.set_column(table.column_names.index(spread), spread, said)
