"""``featurestore ingest vectors``: a lab's own vectors from a file."""

from __future__ import annotations

from pathlib import Path

import click

from featurestore.cli.options import CONTEXT, store_option
from ingest.cli.printing import print_ingested


@click.command(context_settings=CONTEXT)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What the encoder is called in the store.")
@click.option("--column", help="Column of the vectors. Default: the only column of lists.")
@click.option("--trained-on", metavar="TEXT", help="What the vectors were learnt from, in words.")
@click.option("--licence", metavar="TEXT", help="Under which terms they are used.")
@store_option
def vectors(
    file: Path,
    name: str,
    column: str | None,
    trained_on: str | None,
    licence: str | None,
    store_uri: str,
) -> None:
    """Store vectors of structures from the Parquet file FILE, like those of an encoder.

    FILE has a column material_id or structure_id, and one of lists of numbers, all of one length.
    Another content of FILE is another version of the encoder.

    \b
    Example:
      featurestore ingest vectors mine.parquet --name mine --trained-on "2,000 oxides of our lab"
    """
    from featurestore.store import FeatureStore
    from ingest.library.vectors import add_vectors

    store = FeatureStore.open(store_uri)
    print_ingested(
        lambda: add_vectors(
            store, file, name, column=column, trained_on=trained_on, licence=licence
        )
    )
