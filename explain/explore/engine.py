"""Where answers are made: in threads, and with users' SQL in processes that may be ended.

DuckDB can be stopped between rows, but not while it parses, and a value that nests deep enough ends
its process: SQL that somebody typed runs in a worker process, so that the server outlives it and
other requests do not wait for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from explain.explore.sessions import Sessions, Source, TooSlowError
from featurestore.errors import FeatureStoreError
from featurestore.failure import Failure
from featurestore.machine.workers import WorkerPool
from featurestore.query.limits import SqlLimits

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Work = Callable[Concatenate[Source, Given], Answer]

# What a worker process takes beside its query: libraries, threads, vectors that it searches.
_BESIDE = 4 * 2**30
# A query that does not stop by itself at its limit is given so long.
_GRACE = 2.0
# A map of a million materials is 12 MB.
_ANSWERS_KEPT = 64


class BusyError(FeatureStoreError):
    """Too many requests wait already."""


class RefusedError(FeatureStoreError):
    """A worker process refused what it was asked; the message says why."""


@dataclass(frozen=True)
class Limits:
    """What requests may take.

    Parameters
    ----------
    seconds : float
        Time of one answer.
    memory : int
        Bytes of one query, and of its result.
    rows : int
        Rows of one result that is sent whole.
    threads, processes : int
        Answers that are made at a time, and those with users' SQL; without processes these are
        made in threads, too.
    waiting : int
        Requests that may wait for a thread.
    """

    seconds: float = 20.0
    memory: int = 2 * 2**30
    rows: int = 1_000_000
    threads: int = 8
    processes: int = 2
    waiting: int = 64


_LIMITS = Limits()


class Engine:
    """Makes answers from a store.

    Parameters
    ----------
    uri : str
        The store.
    at : str or None
        A snapshot or time at which it is seen.
    limits : Limits
        What requests may take.
    """

    def __init__(self, uri: str, at: str | None = None, limits: Limits = _LIMITS) -> None:
        self.uri, self.at, self.limits = uri, at, limits
        sql = SqlLimits(limits.seconds, limits.memory, limits.rows)
        self.sessions = Sessions(uri, at, sql, most=limits.threads)
        self._threads = ThreadPoolExecutor(limits.threads, "answer")
        self._guarded = ThreadPoolExecutor(max(limits.processes, 1), "guarded")
        self._long = ThreadPoolExecutor(1, "long")
        self._pool: WorkerPool | None = None
        if limits.processes:
            self._pool = WorkerPool(
                limits.processes,
                _open,
                (uri, at, sql),
                memory_limit=2 * limits.memory + _BESIDE,
            )
        self._lock = threading.Lock()
        self._waiting = 0
        #: Answers that are being made.
        self.under_way = 0
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._making: dict[Any, threading.Event] = {}

    async def ask(
        self, work: Work[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        """The answer of ``work(source, …)``, made in a thread.

        Raises
        ------
        BusyError
            If too many requests wait.
        FeatureStoreError
            As ``work`` raises.
        """
        return await self._in(self._threads, self.answer, work, *args, **kwargs)

    async def ask_guarded(
        self, work: Work[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        """The same for work that runs SQL from outside, in a worker process.

        Parameters
        ----------
        work : callable
            A module-level function; what it is given and gives can be pickled.

        Raises
        ------
        BusyError, RefusedError, TooSlowError
            If too many requests wait, the work refused, or it took too long.
        """
        if self._pool is None:
            return await self.ask(work, *args, **kwargs)
        return await self._in(self._guarded, self._in_process, work, args, kwargs)

    async def ask_long(
        self, work: Work[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        """The same for work of minutes, one after the other and without a limit of time."""
        return await self._in(self._long, self._answer, None, work, *args, **kwargs)

    def answer(
        self, work: Work[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        """The answer of ``work(source, …)``, in this thread and within the limit of time."""
        return self._answer(self.limits.seconds, work, *args, **kwargs)

    def kept(self, source: Source, key: tuple[Any, ...], make: Callable[[], Answer]) -> Answer:
        """What ``make`` gives, made once for each state of the store and key."""
        whole = (source.state, *key)
        with self._lock:
            if whole in self._kept:
                self._kept.move_to_end(whole)
                return self._kept[whole]  # type: ignore[no-any-return]
            others = self._making.get(whole)
            mine = threading.Event()
            if others is None:
                self._making[whole] = mine
        if others is not None:
            # After a commit all who read ask anew: one makes the answer, the others wait for it.
            others.wait()
            with self._lock:
                if whole in self._kept:
                    return self._kept[whole]  # type: ignore[no-any-return]
            return make()
        try:
            made = make()
            with self._lock:
                self._kept[whole] = made
                while len(self._kept) > _ANSWERS_KEPT:
                    self._kept.popitem(last=False)
            return made
        finally:
            with self._lock:
                del self._making[whole]
            mine.set()

    def warm(self) -> None:
        """Start the worker processes and open the store, so that the first request need not."""
        self._threads.submit(self._warmed)
        if self._pool is not None:
            self._guarded.submit(self._in_process, _nothing, (), {})

    def _warmed(self) -> None:
        # What is wrong with the store is said to whoever asks for it.
        with suppress(FeatureStoreError):
            self.answer(_nothing)

    def close(self) -> None:
        """Stop what is under way."""
        self.sessions.interrupt()
        for threads in (self._threads, self._guarded, self._long):
            threads.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            self._pool.__exit__(None, None, None)

    async def _in(self, threads: ThreadPoolExecutor, call: Any, *args: Any, **kwargs: Any) -> Any:
        if self._waiting >= self.limits.waiting:
            raise BusyError("too many requests wait for an answer; try again in a moment")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(threads, self._counted, call, args, kwargs)
        finally:
            self._waiting -= 1

    def _counted(self, call: Any, args: Any, kwargs: Any) -> Any:
        with self._lock:
            self.under_way += 1
        try:
            return call(*args, **kwargs)
        finally:
            with self._lock:
                self.under_way -= 1

    def _answer(self, seconds: float | None, work: Any, *args: Any, **kwargs: Any) -> Any:
        with self.sessions.source(seconds) as source:
            return work(source, *args, **kwargs)

    def _in_process(self, work: Any, args: Any, kwargs: Any) -> Any:
        assert self._pool is not None
        item = (work, args, kwargs)
        [(_, answer)] = self._pool.run(
            _answer_here, [(0, item)], time_limit=self.limits.seconds + _GRACE
        )
        if not isinstance(answer, Failure):
            return answer
        if answer.error in ("TimeLimit", "TooSlowError"):
            raise TooSlowError(
                f"this took more than {self.limits.seconds:g} s and was stopped; ask for less"
            )
        if answer.error == "WorkerDied":
            raise RefusedError(
                "the query ended its process: it nests too deep, or takes more memory than it may; "
                "the store is as it was"
            )
        raise RefusedError(answer.message)


_here: Sessions | None = None


def _open(uri: str, at: str | None, limits: SqlLimits) -> None:
    """In a worker process: where its answers come from."""
    global _here
    _here = Sessions(uri, at, limits, most=1)


def _answer_here(item: tuple[Any, Any, Any]) -> Any:
    work, args, kwargs = item
    assert _here is not None
    with _here.source(_here.limits.seconds) as source:
        return work(source, *args, **kwargs)


def _nothing(source: Source) -> None:
    """Only opens the store."""
