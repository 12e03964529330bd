"""``featurestore coverage``: which materials lack what, and how to fill the gaps."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, output_option, store_option


@click.command(context_settings=CONTEXT)
@click.option(
    "--missing",
    "list_missing",
    is_flag=True,
    help="List the materials that lack something, with the reason where an attempt has failed.",
)
@click.option(
    "--of",
    "only",
    multiple=True,
    metavar="NAME",
    help="Only this property, generator or encoder, by id or name. Repeatable.",
)
@click.option("--where", metavar="SQL", help="Only materials for which this condition holds.")
@store_option
@at_option
@format_option
@output_option
def coverage(
    list_missing: bool,
    only: tuple[str, ...],
    where: str | None,
    store_uri: str,
    at: str | None,
    output_format: str,
    output: Path | None,
) -> None:
    """Count the materials that have each property, text and vector, and say what fills the gaps.

    \b
    Example:
      featurestore coverage --where "n_atoms <= 8"
      featurestore coverage --missing --of mbj_bandgap --format csv
    """
    from featurestore.output.rows import print_table, write_table
    from featurestore.quality.coverage import coverage as count
    from featurestore.quality.coverage import missing
    from featurestore.query.running import interruptible
    from featurestore.store import FeatureStore

    measure = missing if list_missing else count
    with FeatureStore.open(store_uri, at=at).session() as session:
        table = interruptible(session, lambda: measure(session, where, only))
    if output is not None:
        write_table(table, output)
        click.echo(f"{table.num_rows} rows written to {output}")
    elif list_missing or output_format != "table":
        print_table(table, output_format)
    else:
        print_table(table.drop(["fill"]), output_format)
        commands = dict.fromkeys(command for command in table["fill"].to_pylist() if command)
        if commands:
            click.echo("\nTo fill the gaps:")
        for command in commands:
            click.echo(f"  {command}")
