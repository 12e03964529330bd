"""Where the work of a stage runs: an engine takes items and gives results, in any order.

A stage hands its engine a function that depends on nothing but its arguments and what the engine's
initializer has set up, so that another engine, on a cluster for example, can take the place of
these two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from featurestore.failure import Failure
from featurestore.machine.workers import WorkerPool


class Engine(Protocol):
    """Runs a function over items with bounded memory."""

    def run(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any | Failure]]:
        """One result for each (key, item), read only as fast as the work goes."""
        ...


@dataclass(frozen=True)
class InThisProcess:
    """Calls a function with a list of items at a time, for work that uses all cores by itself.

    Parameters
    ----------
    work : callable
        Takes a sequence of items, gives one result or `Failure` for each, in order.
    items_a_call : int
        Most items of a call.
    """

    work: Callable[[Sequence[Any]], Sequence[Any]]
    items_a_call: int

    def run(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any | Failure]]:
        """One result for each (key, item), in order."""
        iterator = iter(items)
        while call := list(islice(iterator, self.items_a_call)):
            keys, values = zip(*call, strict=True)
            yield from zip(keys, self.work(values), strict=True)


@dataclass(frozen=True)
class InWorkers:
    """Calls a function with one item at a time in worker processes.

    Parameters
    ----------
    work : callable
        A module-level function of one item.
    workers, initializer, initargs, memory_limit
        As for `WorkerPool`.
    time_limit : float
        Seconds that one item may take.
    pool : WorkerPool, optional
        Processes that are there and go on living, in place of others for this work alone.
    """

    work: Callable[[Any], Any]
    workers: int
    initializer: Callable[..., None]
    initargs: tuple[Any, ...]
    time_limit: float
    memory_limit: int | None = None
    pool: WorkerPool | None = None

    def run(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any | Failure]]:
        """One result for each (key, item), as they come."""
        if self.pool is not None:
            yield from self.pool.run(self.work, items, self.time_limit)
            return
        with WorkerPool(self.workers, self.initializer, self.initargs, self.memory_limit) as pool:
            yield from pool.run(self.work, items, self.time_limit)
