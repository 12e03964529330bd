"""``featurestore parts``: what installed packages add, and the settings of each part."""

from __future__ import annotations

from typing import Any

import click

from featurestore.cli.options import CONTEXT, format_option

_GROUPS = ("encoders", "texts", "predictors", "sources")


@click.command(context_settings=CONTEXT)
@click.argument("group", required=False, type=click.Choice(_GROUPS))
@click.argument("name", required=False)
@format_option
def parts(group: str | None, name: str | None, output_format: str) -> None:
    """List encoders, text generators, predictors and structure readers, and their settings.

    With a NAME its settings are listed: give them as --set NAME=VALUE to the command that uses the
    part. A part that cannot be used is listed with the reason.

    \b
    Example:
      featurestore parts
      featurestore parts encoders matminer
    """
    import pyarrow as pa

    from featurestore.output import print_table
    from featurestore.plugins import Part, load_part, registered

    if group is not None and name is not None:
        full = f"featurestore.{group}"
        part = load_part(full, name, Part)
        rows = [_setting_row(setting) for setting in part.settings]
        if output_format == "table":
            for line in _facts(part, str(registered(full, name))):
                click.echo(line)
        if rows or output_format != "table":
            print_table(pa.Table.from_pylist(rows, schema=_setting_schema()), output_format)
        return
    rows = [_row(one) for one in ([group] if group else _GROUPS) for row in [one]]
    print_table(pa.Table.from_pylist([row for found in rows for row in found]), output_format)
