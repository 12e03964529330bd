"""Runs a function over items in worker processes: bounded, with a time limit for each item."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, TimeoutError, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from multiprocessing.connection import wait as wait_for_objects
from types import TracebackType
from typing import Any, TypeVar

from featurestore.errors import FeatureStoreError
from featurestore.failure import Failure

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")

# Times in a row that the pool may break with no result in between.
_MOST_BREAKS = 2
_IN_FLIGHT_A_WORKER = 4


def no_initializer() -> None:
    """For workers that need none."""


class WorkersError(FeatureStoreError):
    """The worker processes cannot start or go on: no item is to blame."""


@dataclass(frozen=True)
class _NotStarted:
    """What a worker answers whose initializer has failed."""

    reason: str


_not_started: _NotStarted | None = None


class WorkerPool:
    """Worker processes that are spawned at the first call of `run` and share nothing.

    A worker that is killed is replaced; all end with their parent, however that ends.

    Parameters
    ----------
    workers : int
        Number of processes.
    initializer, initargs
        Called once in each worker.
    memory_limit : int, optional
        Bytes that a worker may allocate: an item that needs more is a `Failure`, and the machine
        does not run out of memory. Where the operating system has no such limit, there is none.
    """

    def __init__(
        self,
        workers: int,
        initializer: Callable[..., None] = no_initializer,
        initargs: tuple[Any, ...] = (),
        memory_limit: int | None = None,
    ) -> None:
        self._workers = workers
        self._initargs = (initializer, initargs, memory_limit)

    @cached_property
    def _pool(self) -> Any:
        from pebble import ProcessPool

        context = multiprocessing.get_context("spawn")
        return ProcessPool(
            self._workers, initializer=_start, initargs=self._initargs, context=context
        )

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def run(
        self,
        work: Callable[[Item], Result],
        items: Iterable[tuple[Key, Item]],
        time_limit: float | None = None,
    ) -> Iterator[tuple[Key, Result | Failure]]:
        """Results as they come, in no particular order; what raises or is too slow is a `Failure`.

        Parameters
        ----------
        work : callable
            A module-level function of one item.
        items : iterable of (key, item)
            Read only as fast as the workers go.
        time_limit : float, optional
            Seconds that one item may take.

        Raises
        ------
        WorkersError
            If the initializer fails or the workers cannot be kept alive.
        """
        pending: dict[Any, tuple[Key, Item]] = {}
        remaining = iter(items)
        broken = 0
        while True:
            room = self._workers * _IN_FLIGHT_A_WORKER - len(pending)
            for key, item in islice(remaining, room):
                future = self._pool.schedule(
                    _attempt_if_started, args=[work, item], timeout=time_limit
                )
                pending[future] = key, item
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool) and broken < _MOST_BREAKS:
                    continue
                key, _ = pending.pop(future)
                yield key, _outcome(future, time_limit)
                broken = 0
            if any(future in pending for future in done):
                # A worker that dies between two items takes pebble's whole pool along.
                broken += 1
                remaining = chain(list(pending.values()), remaining)
                pending = {}
                self._stop()

    def _stop(self) -> None:
        """End the workers; the next item starts others."""
        if "_pool" in vars(self):
            self._pool.stop()
            self._pool.join()
            del self._pool


def _outcome(future: Any, time_limit: float | None) -> Any:
    from pebble import ProcessExpired

    try:
        result = future.result()
    except TimeoutError:
        return Failure("TimeLimit", f"took more than {time_limit:g} s")
    except ProcessExpired as error:
        return Failure(
            "WorkerDied", f"the worker process ended with code {error.exitcode} (out of memory?)"
        )
    except BrokenProcessPool as error:
        raise WorkersError(f"the worker processes cannot go on: {error}") from error
    except Exception as error:
        return Failure.of(error)
    if isinstance(result, _NotStarted):
        raise WorkersError(f"the worker processes cannot start: {result.reason}")
    return result


def _attempt_if_started(
    work: Callable[[Item], Result], item: Item
) -> Result | Failure | _NotStarted:
    return attempt(work, item) if _not_started is None else _not_started


def attempt(work: Callable[[Item], Result], item: Item) -> Result | Failure:
    """Runs in a worker. An exception stays here: many cannot be sent to another process."""
    try:
        return work(item)
    except MemoryError:
        return Failure("MemoryError", "needs more memory than a worker process may take")
    except BaseException as error:  # Ctrl-C is ignored here: one that is raised is the work's own
        return Failure.of(error)


def _start(
    initializer: Callable[..., None], initargs: tuple[Any, ...], memory_limit: int | None
) -> None:
    global _not_started
    # Ctrl-C reaches the whole process group; the parent decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        initializer(*initargs)
        if memory_limit is not None:
            limit_memory(memory_limit)
    except Exception as error:
        _not_started = _NotStarted(f"{type(error).__name__}: {error}")


def limit_memory(limit: int) -> None:
    """Let this process allocate at most so many bytes, where the operating system can."""
    if sys.platform == "linux":
        import resource

        # What the process allocates for itself, not the address space it maps files into.
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for_objects([parent.sentinel])
    os._exit(1)
