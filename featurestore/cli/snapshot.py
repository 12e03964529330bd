"""``featurestore snapshot``: named states of the store, compared and restored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from featurestore.cli.completion import stored
from featurestore.cli.options import CONTEXT, format_option, store_option
from featurestore.output.notes import note

if TYPE_CHECKING:
    from featurestore.history.differences import TableDifference


@click.group(context_settings=CONTEXT)
def snapshot() -> None:
    """Name states of the store, and go back to them.

    A snapshot keeps the version of every table; reading commands see it with --at NAME.
    """


@snapshot.command(context_settings=CONTEXT)
@click.argument("name")
@click.option("-m", "--message", default="", help="What the snapshot is for.")
@store_option
def create(name: str, message: str, store_uri: str) -> None:
    """Name the present state of every table.

    \b
    Example:
      featurestore snapshot create paper-v1 -m "as submitted"
    """
    from featurestore.store import FeatureStore

    made = FeatureStore.open(store_uri).create_snapshot(name, message)
    rows = sum(made.rows.values())
    click.echo(f"snapshot {name}: {len(made.versions)} tables, {rows:,} rows")


@snapshot.command("list", context_settings=CONTEXT)
@store_option
@format_option
def list_(store_uri: str, output_format: str) -> None:
    """List the snapshots, oldest first."""
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore

    found = FeatureStore.open(store_uri).snapshots()
    columns = {
        "name": pa.array([s.name for s in found], pa.string()),
        "created_at": pa.array([s.created_at for s in found], pa.timestamp("s", "UTC"), safe=False),
        "tables": pa.array([len(s.versions) for s in found], pa.int64()),
        "materials": pa.array([s.rows.get("materials", 0) for s in found], pa.int64()),
        "rows": pa.array([sum(s.rows.values()) for s in found], pa.int64()),
        "message": pa.array([s.message for s in found], pa.string()),
    }
    print_table(pa.table(columns), output_format)


@snapshot.command(context_settings=CONTEXT)
@click.argument("name", shell_complete=stored("snapshots"))
@store_option
@format_option
def show(name: str, store_uri: str, output_format: str) -> None:
    """Show the version and number of rows of each table in snapshot NAME."""
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from featurestore.store import FeatureStore

    found = FeatureStore.open(store_uri).snapshot(name)
    message = f": {found.message}" if found.message else ""
    note(f"{name}, {found.created_at:%Y-%m-%d %H:%M:%S} UTC{message}")
    names = sorted(found.versions)
    columns = {
        "table": pa.array(names, pa.string()),
        "version": pa.array([found.versions[table] for table in names], pa.int64()),
        "rows": pa.array([found.rows[table] for table in names], pa.int64()),
    }
    print_table(pa.table(columns), output_format)


@snapshot.command(context_settings=CONTEXT)
@click.argument("before", metavar="A", shell_complete=stored("snapshots"))
@click.argument("after", metavar="[B]", required=False, shell_complete=stored("snapshots"))
@store_option
@format_option
def diff(before: str, after: str | None, store_uri: str, output_format: str) -> None:
    """Count the rows added, changed and removed from A to B, or from A to now.

    A and B are names of snapshots or times. Encoders and generators are listed by id.

    \b
    Example:
      featurestore snapshot diff paper-v1 paper-v2
    """
    from featurestore.store import FeatureStore

    earlier = FeatureStore.open(store_uri, at=before)
    later = FeatureStore.open(store_uri, at=after)
    _print_differences([found for found in earlier.differences(later) if found], output_format)


@snapshot.command(context_settings=CONTEXT)
@click.argument("name", shell_complete=stored("snapshots"))
@click.option("--yes", is_flag=True, help="Do it; without this, what would change is shown.")
@store_option
@format_option
def restore(name: str, yes: bool, store_uri: str, output_format: str) -> None:
    """Make the content of snapshot NAME the newest again.

    Each table gets a new version with the old content; nothing is lost, and the record of runs and
    the snapshots stay. Take a snapshot first to keep a name for the present state.
    """
    from featurestore.store import FeatureStore

    store = FeatureStore.open(store_uri)
    changes = store.restore_snapshot(name) if yes else store.restoration(name)
    if not changes:
        note(f"The store is as it was in {name}; there is nothing to restore.")
        return
    _print_differences(changes, output_format)
    note(
        f"Restored {name}."
        if yes
        else f"This is what would change. Nothing was done; to do it: "
        f"featurestore snapshot restore {name} --yes"
    )


@snapshot.command(context_settings=CONTEXT)
@click.argument("name", shell_complete=stored("snapshots"))
@store_option
def delete(name: str, store_uri: str) -> None:
    """Forget snapshot NAME; its versions go once maintenance finds them old enough."""
    from featurestore.store import FeatureStore

    FeatureStore.open(store_uri).delete_snapshot(name)
    click.echo(f"snapshot {name} is deleted")


def _print_differences(found: Sequence[TableDifference], output_format: str) -> None:
    import pyarrow as pa

    from featurestore.output.rows import print_table

    columns = {
        "table": pa.array([d.table for d in found], pa.string()),
        "added": pa.array([d.added for d in found], pa.int64()),
        "changed": pa.array([d.changed for d in found], pa.int64()),
        "removed": pa.array([d.removed for d in found], pa.int64()),
        "ids": pa.array([" ".join(d.ids) for d in found], pa.string()),
    }
    print_table(pa.table(columns), output_format)
