"""Runs a function over items in worker processes: bounded, with a time limit for each item."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, TimeoutError, wait
from itertools import islice
from typing import Any, TypeVar

from featurestore.failure import Failure

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")

_IN_FLIGHT_A_WORKER = 4


def cpu_count() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_parallel(
    work: Callable[[Item], Result],
    items: Iterable[tuple[Key, Item]],
    *,
    workers: int,
    initializer: Callable[..., None],
    initargs: tuple[Any, ...],
    time_limit: float,
) -> Iterator[tuple[Key, Result | Failure]]:
    """Results as they come, in no particular order; what raises or takes too long is a `Failure`.

    The workers are spawned once, share nothing, and a worker that is killed is replaced.

    Parameters
    ----------
    work : callable
        A module-level function of one item.
    items : iterable of (key, item)
        Read only as fast as the workers go.
    initializer, initargs
        Called once in each worker.
    time_limit : float
        Seconds that one item may take.
    """
    from pebble import ProcessExpired, ProcessPool

    pending: dict[Any, Key] = {}
    remaining = iter(items)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPool(workers, initializer=initializer, initargs=initargs, context=context)

    def outcome(future: Any) -> Result | Failure:
        try:
            return future.result()  # type: ignore[no-any-return]
        except TimeoutError:
            return Failure("TimeLimit", f"took more than {time_limit:g} s")
        except ProcessExpired as error:
            return Failure(
                "WorkerDied",
                f"the worker process ended with code {error.exitcode} (out of memory?)",
            )
        except Exception as error:
            return Failure.of(error)

    try:
        while True:
            room = workers * _IN_FLIGHT_A_WORKER - len(pending)
            for key, item in islice(remaining, room):
                pending[pool.schedule(work, args=[item], timeout=time_limit)] = key
            if not pending:
                break
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield pending.pop(future), outcome(future)
        pool.close()
        pool.join()
    finally:
        pool.stop()
        pool.join()
