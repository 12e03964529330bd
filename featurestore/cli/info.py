"""``featurestore info``: what a store holds, at a glance."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, at_option, store_option


@click.command(context_settings=CONTEXT)
@store_option
@at_option
def info(store_uri: str, at: str | None) -> None:
    """Show what the store holds: materials, properties, splits, texts, vectors, models, runs."""
    from featurestore.store import FeatureStore
    from featurestore.summary import summarise

    with FeatureStore.open(store_uri, at=at).session() as session:
        for title, lines in summarise(session):
            click.echo(title)
            for line in lines:
                click.echo(f"  {line}")
