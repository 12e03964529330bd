"""Tables whose shared columns stand above them."""

from __future__ import annotations

from collections.abc import Sequence

import click
import pyarrow as pa

from featurestore.output.rows import print_table


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
