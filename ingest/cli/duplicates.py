"""``featurestore ingest duplicates``: structures that are the same crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, cluster_options, store_option
from ingest.cli.options import retry_option, selection_options, workers_options
from ingest.cli.printing import print_ingested

if TYPE_CHECKING:
    from ingest.stages.selection import Selection


@click.command(context_settings=CONTEXT)
@selection_options
@workers_options("formula")
@cluster_options
@retry_option
@store_option
def duplicates(
    selection: Selection,
    workers: int | None,
    time_limit: float,
    retry_failures: bool,
    store_uri: str,
) -> None:
    """Find structures of one formula that are the same crystal, by pymatgen's StructureMatcher.

    'featurestore train leakage' and 'ingest splits --group-by duplicates' read what it finds.

    \b
    Example:
      featurestore ingest duplicates --property Tc_supercon
    """
    from featurestore.store import FeatureStore
    from ingest.library.duplicates import find_duplicates

    store = FeatureStore.open(store_uri)
    print_ingested(
        lambda: find_duplicates(
            store,
            selection,
            workers=workers,
            time_limit=time_limit,
            retry_failures=retry_failures,
        )
    )
