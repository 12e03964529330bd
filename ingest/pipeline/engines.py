"""Where the work of a stage runs: an engine takes items and gives results, in any order.

A stage hands its engine a function that depends on nothing but its arguments and what the engine's
initializer has set up, so that the pool may be of processes here or on a cluster
(`featurestore.machine.pool`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Protocol

from featurestore.failure import Failure
from featurestore.machine.pool import Pool, default_workers, worker_pool


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
    pool : Pool, optional
        Processes that are there and go on living, in place of others for this work alone.
    """

    work: Callable[[Any], Any]
    workers: int
    initializer: Callable[..., None]
    initargs: tuple[Any, ...]
    time_limit: float
    memory_limit: int | None = None
    pool: Pool | None = None

    def run(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any | Failure]]:
        """One result for each (key, item), as they come."""
        if self.pool is not None:
            yield from self.pool.run(self.work, items, self.time_limit)
            return
        with worker_pool(self.workers, self.initializer, self.initargs, self.memory_limit) as pool:
            yield from pool.run(self.work, items, self.time_limit)


@dataclass(frozen=True)
class BatchesInWorkers:
    """Calls a function with a list of items at a time in worker processes.

    What takes a whole call along is tried again alone.

    Parameters
    ----------
    work : callable
        A module-level function of a sequence of items, one result or `Failure` for each.
    items_a_call : int
        Most items of a call.
    initializer, initargs
        As for `WorkerPool`.
    time_limit : float
        Seconds that one call may take.
    """

    work: Callable[[Sequence[Any]], Sequence[Any]]
    items_a_call: int
    initializer: Callable[..., None]
    initargs: tuple[Any, ...]
    time_limit: float

    def run(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any | Failure]]:
        """One result for each (key, item), as they come."""
        under_way: dict[int, list[tuple[str, Any]]] = {}
        iterator = iter(items)

        def calls() -> Iterator[tuple[int, list[Any]]]:
            for number in count():
                call = list(islice(iterator, self.items_a_call))
                if not call:
                    return
                under_way[number] = call
                yield number, [value for _, value in call]

        again: list[tuple[str, Any]] = []
        with worker_pool(default_workers(), self.initializer, self.initargs) as pool:
            for number, results in pool.run(self.work, calls(), self.time_limit):
                call = under_way.pop(number)
                if isinstance(results, Failure):
                    again += call
                else:
                    yield from zip((key for key, _ in call), results, strict=True)
            singly = ((key, [value]) for key, value in again)
            for key, results in pool.run(self.work, singly, self.time_limit):
                yield key, results if isinstance(results, Failure) else results[0]
