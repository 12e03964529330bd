"""``featurestore train best``: the recommended recipe by one command."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, count_option, store_option
from train.cli.options import property_option


@click.command(context_settings=CONTEXT)
@property_option
@click.option("--split", required=True, metavar="NAME", help="Split that gives the folds.")
@count_option("--seeds", 3, "Models; their mean predicts.")
@click.option("--dry-run", is_flag=True, help="Only print the commands.")
@store_option
def best(property_name: str, split: str, seeds: int, dry_run: bool, store_uri: str) -> None:
    """Train the recommended recipe: encode what lacks vectors, define its features, fit.

    The commands are printed before they run, and could be typed one by one. A run that was cut off
    goes on with the same command.

    \b
    Example:
      featurestore train best --property mbj_bandgap --split paper
    """
    from featurestore.commands import run, shown
    from featurestore.store import FeatureStore
    from train.best import best_commands

    with FeatureStore.open(store_uri).session() as session:
        commands = best_commands(session, property_name, split, seeds)
    for command in commands:
        click.echo(f"$ {shown(command)}")
        if not dry_run:
            run((*command, "--store", store_uri))
