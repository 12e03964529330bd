"""Rows of a query on a terminal; an EXPLAIN is a drawing and is printed as it is."""

from __future__ import annotations

import click
import pyarrow as pa

from featurestore.output.rows import print_table


def print_rows(table: pa.Table, output_format: str) -> None:
    """Print rows in one of the `PRINTED_FORMATS`."""
    if output_format == "table" and table.column_names == ["explain_key", "explain_value"]:
        for plan in table["explain_value"].to_pylist():
            click.echo(plan)
    else:
        print_table(table, output_format)
