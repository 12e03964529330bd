"""``featurestore backup``: a copy of a store, with its history, elsewhere."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, store_option


@click.command(context_settings=CONTEXT)
@click.argument("target")
@store_option
def backup(target: str, store_uri: str) -> None:
    """Copy the store to TARGET, a folder or s3://bucket/prefix; again, only what is new.

    History and snapshots are copied, too. Until the copy is complete and compared with the source
    it cannot be opened; after an interruption the same command goes on. A backup is an ordinary
    store: to restore one, back it up to where the store should be.

    \b
    Example:
      featurestore backup /mnt/backup/materials-store
    """
    from featurestore.store import FeatureStore
    from featurestore.upkeep.backup import back_up

    done = back_up(FeatureStore.open(store_uri), target)
    click.echo(
        f"{done.tables} tables, {done.rows:,} rows: {done.files_copied:,} files copied "
        f"({done.bytes_copied / 1e6:,.1f} MB), {done.files_present:,} already there"
    )
