"""``featurestore info``: what a store holds, at a glance."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, at_option, formats_option, store_option


@click.command(context_settings=CONTEXT)
@store_option
@at_option
@formats_option(("text", "json"), "Lines for people, or one object with rows for each kind.")
def info(store_uri: str, at: str | None, output_format: str) -> None:
    """Show what the store holds: materials, properties, splits, texts, vectors, models, runs.

    \b
    Example:
      featurestore info --format json
    """
    from featurestore.output.rows import print_json
    from featurestore.overview import overview
    from featurestore.store import FeatureStore
    from featurestore.summary import summarise

    store = FeatureStore.open(store_uri, at=at)
    with store.session() as session:
        if output_format == "json":
            print_json({"store": store.uri, "at": at} | overview(session))
            return
        for title, lines in summarise(session):
            click.echo(title)
            for line in lines:
                click.echo(f"  {line}")
