"""``featurestore maintain``: compaction, indexes and the dropping of old versions."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, format_option, store_option
from featurestore.output.notes import note

_KEEP_DAYS = 14.0


@click.command(context_settings=CONTEXT)
@click.option(
    "--keep-days",
    default=_KEEP_DAYS,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Days for which superseded versions stay readable; snapshots stay for ever.",
)
@click.option(
    "--ended",
    metavar="RUN",
    help="Only record that this run, of another machine, was killed: others may go on then.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, say what would be dropped.")
@store_option
@format_option
def maintain(
    keep_days: float, ended: str | None, dry_run: bool, store_uri: str, output_format: str
) -> None:
    """Compact tables, refresh indexes and drop superseded versions.

    It may run beside writers: versions that a run under way may still read are kept, and so are
    files younger than seven days that may belong to a write in progress. On a full disk it drops
    first and records itself then.

    \b
    Example:
      featurestore maintain --keep-days 30
    """
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore
    from featurestore.upkeep.maintenance import maintain as keep
    from featurestore.upkeep.maintenance import recorded_maintenance as recorded

    store = FeatureStore.open(store_uri)
    if ended is not None:
        store.record_ended(ended)
        click.echo(f"run {ended} is recorded as killed")
        return
    if dry_run:
        done = keep(store, keep_days=keep_days, dry_run=True)
    else:
        done = recorded(store, keep_days=keep_days)
    print_table(pa.Table.from_pylist([vars(table) for table in done]), output_format)
    before, after = (sum(getattr(t, f"bytes_{when}") for t in done) for when in ("before", "after"))
    verb = "would be" if dry_run else "are"
    note(f"{before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB {verb} left")
