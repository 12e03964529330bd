"""``featurestore rename``: what bears a name is named first, then it bears another."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, Command, store_option, together

if TYPE_CHECKING:
    from featurestore.session import Session
    from featurestore.upkeep.renaming import Renaming

_sure_options: Callable[[Command], Command] = together(
    click.argument("old"),
    click.argument("new"),
    click.option("--dry-run", is_flag=True, help="Only say what would change."),
    click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal."),
    store_option,
)


class _Renaming(click.Group):
    """Says of what keeps its name why, and what to do instead."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's, with the reasons."""
        from featurestore.upkeep.renamings.refused import REFUSED

        if args and args[0] in REFUSED:
            raise click.UsageError(f"{args[0]} keeps its name: {REFUSED[args[0]]}.", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Renaming, context_settings=CONTEXT)
def rename() -> None:
    """Give a material, data set, property, source or split another name.

    What bears the old name is named first, with its number. Models go on saying the name under
    which they learned, and their lineage says what it is now. Snapshots keep the past.
    """


@rename.command(context_settings=CONTEXT)
@_sure_options
def material(old: str, new: str, dry_run: bool, yes: bool, store_uri: str) -> None:
    """Rename the material OLD, with its targets, folds, predictions and forecasts.

    \b
    Example:
      featurestore rename material JVASP-1372 AlAs --dry-run
    """
    from featurestore.upkeep.renamings.materials import of_material

    _rename(store_uri, lambda session: of_material(session, old, new), dry_run, yes)


@rename.command(context_settings=CONTEXT)
@_sure_options
def dataset(old: str, new: str, dry_run: bool, yes: bool, store_uri: str) -> None:
    """Rename the data set OLD.

    \b
    Example:
      featurestore rename dataset jarvis_sample jarvis --dry-run
    """
    from featurestore.upkeep.renamings.materials import of_dataset

    _rename(store_uri, lambda session: of_dataset(session, old, new), dry_run, yes)


@rename.command("property", context_settings=CONTEXT)
@_sure_options
def property_values(old: str, new: str, dry_run: bool, yes: bool, store_uri: str) -> None:
    """Rename the property OLD, with its splits and the rules of its sources.

    \b
    Example:
      featurestore rename property slme efficiency --dry-run
    """
    from featurestore.upkeep.renamings.properties import of_property

    _rename(store_uri, lambda session: of_property(session, old, new), dry_run, yes)


@rename.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY")
@_sure_options
def source(
    property_name: str, old: str, new: str, dry_run: bool, yes: bool, store_uri: str
) -> None:
    """Rename the source OLD of PROPERTY, also in the rules that name it.

    \b
    Example:
      featurestore rename source slme jarvis_sample jarvis --dry-run
    """
    from featurestore.upkeep.renamings.properties import of_source

    _rename(store_uri, lambda session: of_source(session, property_name, old, new), dry_run, yes)


@rename.command(context_settings=CONTEXT)
@_sure_options
def split(old: str, new: str, dry_run: bool, yes: bool, store_uri: str) -> None:
    """Rename the split OLD, or the cross-validation OLD with all of its splits.

    \b
    Example:
      featurestore rename split cv5 five-folds --dry-run
    """
    from featurestore.upkeep.renamings.splits import of_split

    _rename(store_uri, lambda session: of_split(session, old, new), dry_run, yes)


def _rename(store_uri: str, plan: Callable[[Session], Renaming], dry_run: bool, yes: bool) -> None:
    from featurestore.errors import InvalidInputError
    from featurestore.store import FeatureStore
    from featurestore.upkeep.renaming import carry_out_renaming

    store = FeatureStore.open(store_uri)
    with store.session() as session:
        renaming = plan(session)
    for line in renaming.lines():
        click.echo(line)
    if dry_run:
        click.echo("Nothing was renamed.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInputError("nothing was renamed: say --yes where there is no terminal")
        click.confirm("Rename it?", abort=True)
    changed = carry_out_renaming(store, renaming)
    click.echo(f"{sum(changed.values()):,} rows changed")
