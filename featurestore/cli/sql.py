"""``featurestore sql``: reading queries over every table and macro."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, store_option


@click.command(context_settings=CONTEXT)
@click.argument("query")
@store_option
@at_option
@format_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a .parquet, .arrow, .csv, .json, .ndjson or .npz file instead.",
)
def sql(
    query: str, store_uri: str, at: str | None, output_format: str, output: Path | None
) -> None:
    """Run one reading SQL QUERY over the tables and the macros.

    The macros are texts(text_source, variant := …), training_view(property, text_source,
    structure_encoder, text_encoder, variant := …, split := …) and coverage().

    \b
    Example:
      featurestore sql "SELECT crystal_system, count(*) FROM materials GROUP BY ALL"
    """
    from featurestore.output import print_table, write_table
    from featurestore.store import FeatureStore

    table = FeatureStore.open(store_uri, at=at).sql(query)
    if output is None:
        print_table(table, output_format)
    else:
        write_table(table, output)
        click.echo(f"{table.num_rows} rows written to {output}")
