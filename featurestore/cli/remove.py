"""``featurestore remove``: what hangs on a thing is named, then it goes with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, Command, store_option, together

if TYPE_CHECKING:
    from featurestore.session import Session
    from featurestore.upkeep.removal import Removal

_sure_options: Callable[[Command], Command] = together(
    click.option("--dry-run", is_flag=True, help="Only say what would go."),
    click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal."),
    store_option,
)


@click.group(context_settings=CONTEXT)
def remove() -> None:
    """Take materials, properties, splits, encoders or models out of the store.

    What hangs on them is named first, with its number. Snapshots keep the past: restoring one
    brings back what was removed since.
    """


@remove.command(context_settings=CONTEXT)
@click.option(
    "--where",
    metavar="SQL",
    required=True,
    help="Those for which this condition on them and their properties holds.",
)
@_sure_options
def materials(where: str, dry_run: bool, yes: bool, store_uri: str) -> None:
    """Remove materials with their targets, folds, predictions, texts and vectors.

    Structures and texts that other materials share stay.

    \b
    Example:
      featurestore remove materials --where "material_id = 'JVASP-1372'" --dry-run
    """
    from featurestore.upkeep.removals import of_materials

    _remove(store_uri, lambda session: of_materials(session, where), dry_run, yes)


@remove.command("property", context_settings=CONTEXT)
@click.argument("name")
@click.option("--source", help="Only its values of this source.")
@_sure_options
def property_values(
    name: str, source: str | None, dry_run: bool, yes: bool, store_uri: str
) -> None:
    """Remove the values of the property NAME, with the splits that are for it alone.

    \b
    Example:
      featurestore remove property slme --dry-run
    """
    from featurestore.upkeep.removals import of_property

    _remove(store_uri, lambda session: of_property(session, name, source), dry_run, yes)


@remove.command(context_settings=CONTEXT)
@click.argument("name")
@click.option("--property", "property_name", help="Only its folds for this property.")
@_sure_options
def split(name: str, property_name: str | None, dry_run: bool, yes: bool, store_uri: str) -> None:
    """Remove the split NAME, or every split of the cross-validation NAME.

    \b
    Example:
      featurestore remove split cv5 --dry-run
    """
    from featurestore.upkeep.removals import of_split

    _remove(store_uri, lambda session: of_split(session, name, property_name), dry_run, yes)


@remove.command(context_settings=CONTEXT)
@click.argument("name")
@_sure_options
def encoder(name: str, dry_run: bool, yes: bool, store_uri: str) -> None:
    """Remove the encoder NAME with its vectors; models that read them go first.

    \b
    Example:
      featurestore remove encoder minilm_d5276ea2e1 --dry-run
    """
    from featurestore.upkeep.removals import of_encoder

    _remove(store_uri, lambda session: of_encoder(session, name), dry_run, yes)


@remove.command(context_settings=CONTEXT)
@click.argument("names", nargs=-1)
@click.option(
    "--where", metavar="SQL", help="Those for which this condition on table models holds."
)
@_sure_options
def models(
    names: tuple[str, ...], where: str | None, dry_run: bool, yes: bool, store_uri: str
) -> None:
    """Remove the models NAMES (ids or their beginnings) with their predictions and explanations.

    \b
    Example:
      featurestore remove models --where "predictor = 'mlp' AND seed > 2" --dry-run
    """
    from featurestore.upkeep.removals import of_models

    if bool(names) == (where is not None):
        raise click.UsageError("Name models, or say which with --where.")
    _remove(store_uri, lambda session: of_models(session, names, where), dry_run, yes)


def _remove(store_uri: str, plan: Callable[[Session], Removal], dry_run: bool, yes: bool) -> None:
    from featurestore.errors import InvalidInputError
    from featurestore.store import FeatureStore
    from featurestore.upkeep.removal import carry_out

    store = FeatureStore.open(store_uri)
    with store.session() as session:
        removal = plan(session)
    for line in removal.lines():
        click.echo(line)
    if dry_run:
        click.echo("Nothing was removed.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInputError("nothing was removed: say --yes where there is no terminal")
        click.confirm("Remove all this?", abort=True)
    removed = carry_out(store, removal)
    click.echo(f"{sum(removed.values()):,} rows removed")
