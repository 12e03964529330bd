"""The pipeline of the stages that make something new of each item: read, work, write, overlapped.

A thread reads ahead, the engine works, a thread writes behind. Each step waits for the next, so
that memory is bounded by the items ahead, those in the engine and two batches of results, which
grow where writes are slower than the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from featurestore.failure import Failure
from featurestore.output.progress import progress_bar
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from ingest.pipeline.engines import Engine
from ingest.pipeline.failures import kept_failures
from ingest.pipeline.interruption import stop_on_interrupt
from ingest.pipeline.outcome import Outcome
from ingest.pipeline.overlap import WriteBehind, read_ahead

_ITEMS_AHEAD = 512
# Often enough to lose little to a kill, seldom enough to keep the table in few fragments.
_SECONDS_A_WRITE = 20.0
# While a write is under way results gather for a larger one: a merge into a large table costs more
# for the table than for the rows, and workers of a cluster would wait for it.
_WRITES_IN_ONE = 8


@dataclass(frozen=True)
class Job:
    """What a pipeline does, besides the work itself.

    Parameters
    ----------
    stage, context : str
        Under which failures are recorded.
    label, unit : str
        Of the progress: "minilm", "texts".
    table : str
        What is written to; compacted at the end.
    write : callable
        Stores the results of some items, by key, in one atomic write.
    items_a_write : int
        Results after which a write begins; more of them only while another is under way.
    """

    stage: str
    context: str
    label: str
    unit: str
    table: str
    write: Callable[[dict[str, Any]], None]
    items_a_write: int


def run_job(
    store: FeatureStore,
    job: Job,
    engine: Engine,
    items: Iterable[tuple[str, Any]],
    total: int,
    outcome: Outcome,
    run: Run,
) -> None:
    """Work on the items and write what comes of them; `outcome` and the run count along.

    Results that are finished are written whatever ends the work: an error, a signal, Ctrl-C.

    Parameters
    ----------
    items : iterable of (key, item)
        In an order unrelated to their size, so that the rate so far tells the time left.
    total : int
        Number of items.

    Raises
    ------
    KeyboardInterrupt
        If the user asked to stop; what was under way has been finished and written.
    """
    if not total:
        return
    with (
        stop_on_interrupt() as interruption,
        progress_bar(total, job.label, job.unit) as progress,
        kept_failures(store, job.stage, job.context, outcome, run) as succeeded,
    ):

        def write(results: dict[str, Any]) -> None:
            job.write(results)
            succeeded.update(results)
            outcome.written += len(results)
            run.counts = outcome.counts()

        with WriteBehind(write) as writer, read_ahead(items, _ITEMS_AHEAD) as ahead:
            waiting: dict[str, Any] = {}
            last_write = time.monotonic()
            try:
                for key, result in engine.run(interruption.until_asked(ahead)):
                    progress.update()
                    if isinstance(result, Failure):
                        outcome.failures[key] = result
                    else:
                        waiting[key] = result
                    due = time.monotonic() - last_write > _SECONDS_A_WRITE
                    due = (due or len(waiting) >= job.items_a_write) and writer.is_idle
                    if waiting and (due or len(waiting) >= _WRITES_IN_ONE * job.items_a_write):
                        writer.submit(waiting)
                        waiting, last_write = {}, time.monotonic()
            finally:
                if waiting:
                    writer.submit(waiting)
    done = outcome.written + len(outcome.failures)
    if interruption.asked and done < total:
        raise KeyboardInterrupt(f"{done:,} of {total:,} {job.unit} done")
    store.compact(job.table)
