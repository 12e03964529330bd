"""``featurestore migrate``: an older store brought to the present schema."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, store_option


@click.command(context_settings=CONTEXT)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@store_option
def migrate(dry_run: bool, store_uri: str) -> None:
    """Bring the tables of an older store to the present schema.

    A snapshot of the store as it was is taken first; if a step fails, everything is undone.

    \b
    Example:
      featurestore migrate --dry-run
    """
    from featurestore.store import FeatureStore
    from featurestore.tables.schema_version import SCHEMA_VERSION
    from featurestore.upkeep.migrate import migrate as bring
    from featurestore.upkeep.migrate import pending

    store = FeatureStore.open(store_uri)
    changes = pending(store) if dry_run else bring(store)
    for change in changes:
        click.echo(f"{change.table}: {change.what}")
    if not changes:
        click.echo(f"every table has schema {SCHEMA_VERSION}; there is nothing to do")
