"""What failed in a stage, from one run to the next: left out, recorded, cleared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.pipeline.outcome import Outcome


def still_to_do(
    store: FeatureStore,
    stage: str,
    context: str,
    items: Sequence[str],
    present: set[str],
    retry_failures: bool,
    outcome: Outcome,
) -> list[str]:
    """The items, in their order, that are neither present nor known to fail; the rest is counted.

    Parameters
    ----------
    stage, context : str
        Under which failures are recorded.
    present : set of str
        Items that the store has.
    retry_failures : bool
        Whether items that failed in an earlier run are tried again.
    """
    todo = [name for name in items if name not in present]
    outcome.present = len(items) - len(todo)
    if retry_failures:
        return todo
    failed = store.failed_items(stage, context)
    outcome.failed_before = sum(name in failed for name in todo)
    return [name for name in todo if name not in failed]


@contextmanager
def kept_failures(
    store: FeatureStore, stage: str, context: str, outcome: Outcome, run: Run
) -> Iterator[set[str]]:
    """Record the outcome's failures at the end, however it comes.

    Yields
    ------
    set of str
        The caller adds the items that have succeeded: their failures on record are cleared.
    """
    succeeded: set[str] = set()
    try:
        yield succeeded
    finally:
        store.record_failures(stage, context, outcome.failures, run)
        store.clear_failures(stage, context, succeeded - set(outcome.failures))
