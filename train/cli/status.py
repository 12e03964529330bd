"""``featurestore status`` and ``update``: what is lacking since new data came, and its making."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, at_option, store_option
from featurestore.quality.status import LEVELS


@click.command(context_settings=CONTEXT)
@store_option
@at_option
def status(store_uri: str, at: str | None) -> None:
    """Say what is lacking since new data came, and the commands that make it.

    Texts and vectors of versions in use, folds for new materials, models whose view has other
    materials or targets by now; and what only you can decide.

    \b
    Example:
      featurestore status
    """
    from featurestore.commands import shown
    from featurestore.store import FeatureStore
    from train.upkeep import status as found

    lacking = found(FeatureStore.open(store_uri, at=at))
    if not lacking.lacks:
        click.echo("Nothing is lacking.")
    for lack in lacking.lacks:
        click.echo(f"{lack.level:8} {lack}")
    commands = lacking.commands()
    if commands:
        click.echo("\nfeaturestore update would run:")
    for command in commands:
        click.echo(f"  {shown(command)}")


@click.command(context_settings=CONTEXT)
@click.option("--dry-run", is_flag=True, help="Only print the plan.")
@click.option(
    "--skip",
    multiple=True,
    type=click.Choice(LEVELS),
    help="Leave these as they are (may be repeated).",
)
@store_option
def update(dry_run: bool, skip: tuple[str, ...], store_uri: str) -> None:
    """Make the texts, vectors, folds and models that are lacking since new data came.

    The plan is printed first: the commands, which could be typed one by one. What they make decides
    what comes after, so that a command may be added. A run that was cut off goes on from there.

    \b
    Example:
      featurestore update --dry-run
      featurestore update --skip models
    """
    from featurestore.commands import shown
    from featurestore.store import FeatureStore
    from train.upkeep import status as found
    from train.upkeep import update as make

    store = FeatureStore.open(store_uri)
    commands = found(store).commands(skip)
    if not commands:
        click.echo("Nothing is lacking that a command could make.")
        return
    click.echo("Plan:")
    for command in commands:
        click.echo(f"  {shown(command)}")
    if dry_run:
        click.echo("Nothing was done.")
        return
    done = make(store, skip=skip, said=lambda command: click.echo(f"\n$ {shown(command)}"))
    click.echo(f"\n{len(done)} commands ran.")
