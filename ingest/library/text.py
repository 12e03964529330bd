"""Descriptions in sentences, each with a tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featurestore.machine.pool import default_workers
from featurestore.plugins import checked_settings
from featurestore.store import FeatureStore
from ingest.library.arguments import ALL, assignments, work_arguments
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.selection import Selection


def describe(
    store: FeatureStore,
    source: str,
    selection: Selection = ALL,
    *,
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    time_limit: float = 300.0,
    worker_memory: float | None = None,
    retry_failures: bool = False,
) -> Ingested:
    """Describe structures in sentences, each with a tag.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    source : str
        A text source: "robocrystallographer", "chemnlp", or one that a package adds.
    selection : Selection
        Which materials.
    settings : mapping, optional
        Of the source, other than its defaults; see ``featurestore parts texts``.
    workers : int, optional
        Processes; by default one a processor.
    time_limit : float
        Seconds that one structure may take.
    worker_memory : float, optional
        GiB that a process may take; by default all together four fifths of the machine's.
    retry_failures : bool
        Whether what failed in an earlier run is tried again.
    """
    from ingest.stages.text import ingest_text
    from ingest.text.registry import text_part

    chosen = dict(settings or {})
    part = text_part(source)
    checked_settings(part, chosen)
    guessed = chosen.get("guess_oxidation_states")
    arguments = {
        "source": source,
        "oxidation_states": "guessed" if guessed else "none",
        "settings": assignments(chosen, ("guess_oxidation_states",)),
        "worker_memory": worker_memory,
        **vars(selection),
        **work_arguments(workers, time_limit, retry_failures),
    }
    with recorded(store, "text", arguments) as run:
        outcome = ingest_text(
            store,
            source,
            settings=chosen,
            selection=selection,
            workers=workers or default_workers(),
            time_limit=time_limit,
            memory_limit=None if worker_memory is None else int(worker_memory * 2**30),
            retry_failures=retry_failures,
            run=run,
        )
        return ingested(run, outcome, made=part.generator(chosen).spec.generator_id)
