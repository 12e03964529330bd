"""Structures that are the same crystal."""

from __future__ import annotations

from featurestore.machine.pool import default_workers
from featurestore.store import FeatureStore
from ingest.library.arguments import ALL, work_arguments
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.selection import Selection


def find_duplicates(
    store: FeatureStore,
    selection: Selection = ALL,
    *,
    workers: int | None = None,
    time_limit: float = 300.0,
    retry_failures: bool = False,
) -> Ingested:
    """Find structures of one formula that are the same crystal, by pymatgen's StructureMatcher.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    selection : Selection
        Which materials.
    workers : int, optional
        Processes; by default one a processor.
    time_limit : float
        Seconds that one formula may take.
    retry_failures : bool
        Whether what failed in an earlier run is tried again.
    """
    from ingest.stages.duplicates import ingest_duplicates

    arguments = vars(selection) | work_arguments(workers, time_limit, retry_failures)
    with recorded(store, "duplicates", arguments) as run:
        outcome = ingest_duplicates(
            store,
            selection=selection,
            workers=workers or default_workers(),
            time_limit=time_limit,
            retry_failures=retry_failures,
            run=run,
        )
        return ingested(run, outcome)
