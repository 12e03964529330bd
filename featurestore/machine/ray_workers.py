"""The twin of `WorkerPool` on a Ray cluster: plain actors, one call in flight for each.

Ray restarts and retries nothing here: an actor that dies, or is killed for the time it takes, is
replaced, and what it had goes to another, one item at a time. An item that takes two workers along
is a failure. Calls grow until they take half a second, so that items of milliseconds do not wait
for messages.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from types import TracebackType
from typing import Any

from featurestore.failure import Failure
from featurestore.machine.cluster import Cluster, connected
from featurestore.machine.ray_actor import Answer, Worker, facts
from featurestore.machine.workers import WorkersError, no_initializer

# Starting imports a generator or loads weights, on a node that may have to be started first.
_SECONDS_TO_START = 600.0
_MOST_FAILED_STARTS = 3
_MOST_DEATHS = 2
_SECONDS_A_CALL = 0.5
_MOST_ITEMS_A_CALL = 256
# Often enough for Ctrl-C and time limits.
_SECONDS_A_LOOK = 1.0


@dataclass(eq=False)
class _Item:
    key: Any
    value: Any
    deaths: int = 0
    alone: bool = False


@dataclass(eq=False)
class _Member:
    """A worker and the call it works on; without items it starts."""

    actor: Any
    call: Any
    due: float
    items: list[_Item] = field(default_factory=list)


class RayPool:
    """Workers on a Ray cluster that start at the first call of `run` and share nothing.

    Parameters
    ----------
    workers : int
        Most of them; those for which the cluster has no room are waited for.
    initializer, initargs, memory_limit
        As for `WorkerPool`.
    cluster : Cluster
        Where.
    """

    def __init__(
        self,
        workers: int,
        initializer: Callable[..., None] = no_initializer,
        initargs: tuple[Any, ...] = (),
        memory_limit: int | None = None,
        *,
        cluster: Cluster,
    ) -> None:
        self._workers, self._cluster = workers, cluster
        self._start = (initializer, initargs, memory_limit)
        self._busy: list[_Member] = []
        self._idle: list[_Member] = []
        self._failed_starts = 0
        self._seconds_an_item = _SECONDS_A_CALL

    def __enter__(self) -> RayPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for member in [*self._busy, *self._idle]:
            self._kill(member)
        self._busy, self._idle = [], []

    def run(
        self,
        work: Callable[[Any], Any],
        items: Iterable[tuple[Any, Any]],
        time_limit: float | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Results as they come, as `WorkerPool.run` gives them.

        Raises
        ------
        WorkersError
            If the cluster does not answer, a worker has other versions than this process, or the
            workers cannot be started.
        """
        source = (_Item(key, value) for key, value in items)
        waiting: deque[_Item] = deque()
        try:
            while True:
                count = self._items_a_call()
                free = self._workers - sum(bool(member.items) for member in self._busy)
                waiting.extend(islice(source, max(0, free * count - len(waiting))))
                if not waiting and not any(member.items for member in self._busy):
                    return
                self._start_for(-(-len(waiting) // count))
                while self._idle and waiting:
                    self._call(self._idle.pop(), work, _batch(waiting, count), time_limit)
                for member in self._wait():
                    yield from self._outcomes(member, waiting, time_limit)
        finally:
            # What was given up is not waited for.
            for member in [member for member in self._busy if member.items]:
                self._dismiss(member)

    @cached_property
    def _ray(self) -> Any:
        return connected(self._cluster)

    def _items_a_call(self) -> int:
        """As many as take half a second, as far as is known."""
        count = int(_SECONDS_A_CALL / max(self._seconds_an_item, 1e-6))
        return max(1, min(count, _MOST_ITEMS_A_CALL))

    def _start_for(self, calls: int) -> None:
        """Start workers for calls that no idle or starting one can take."""
        starting = sum(not member.items for member in self._busy)
        room = self._workers - len(self._busy) - len(self._idle)
        for _ in range(min(room, calls - starting - len(self._idle))):
            actor = (
                self._ray.remote(Worker)
                .options(
                    num_cpus=self._cluster.cpus_per_worker,
                    num_gpus=self._cluster.gpus_per_worker,
                    max_restarts=0,
                    max_task_retries=0,
                    scheduling_strategy="SPREAD",
                )
                .remote()
            )
            call = actor.start.remote(facts(), *self._start)
            self._busy.append(_Member(actor, call, time.monotonic() + _SECONDS_TO_START))

    def _call(
        self, member: _Member, work: Callable[[Any], Any], batch: list[_Item], limit: float | None
    ) -> None:
        member.items = batch
        member.call = member.actor.work.remote(work, [item.value for item in batch])
        member.due = math.inf if limit is None else time.monotonic() + limit
        self._busy.append(member)

    def _wait(self) -> list[_Member]:
        """The members whose call has ended, or has taken too long."""
        calls = {member.call: member for member in self._busy}
        left = min(member.due for member in self._busy) - time.monotonic()
        ended, _ = self._ray.wait(list(calls), timeout=max(0.0, min(left, _SECONDS_A_LOOK)))
        now = time.monotonic()
        return [member for call, member in calls.items() if call in ended or member.due <= now]

    def _outcomes(
        self, member: _Member, waiting: deque[_Item], time_limit: float | None
    ) -> Iterator[tuple[Any, Any]]:
        """Results of a call; what has to be tried again goes back to those that wait."""
        errors = self._ray.exceptions
        items = member.items
        try:
            answer = self._ray.get(member.call, timeout=0)
        except errors.GetTimeoutError:
            if not items:
                self._wait_on(member)
                return
            self._dismiss(member)
            failure = Failure("TimeLimit", f"took more than {time_limit:g} s")
            yield from self._again(items, waiting, failure, alone=True)
        except errors.RayTaskError as error:
            self._dismiss(member)
            if not items:
                raise WorkersError(f"the workers cannot start: {error.cause}") from error
            yield from self._again(items, waiting, Failure.of(error.cause or error), alone=True)
        except errors.RayError as error:
            self._dismiss(member)
            if not items:
                self._count_failed_start(error)
                return
            for item in items:
                item.deaths += 1
            failure = Failure("WorkerDied", f"two workers ended with it, the last: {_line(error)}")
            yield from self._again(items, waiting, failure, alone=False)
        else:
            yield from self._answered(member, answer)

    def _answered(self, member: _Member, answer: Any) -> Iterator[tuple[Any, Any]]:
        self._busy.remove(member)
        self._failed_starts = 0
        if isinstance(answer, str):
            self._kill(member)
            raise WorkersError(f"the workers cannot start: {answer}")
        items, member.items = member.items, []
        self._idle.append(member)
        if isinstance(answer, Answer):
            latest = answer.seconds / len(items)
            self._seconds_an_item = (self._seconds_an_item + latest) / 2
            for item, result in zip(items, answer.results, strict=True):
                yield item.key, result

    def _again(
        self, items: list[_Item], waiting: deque[_Item], failure: Failure, *, alone: bool
    ) -> Iterator[tuple[Any, Any]]:
        """Try items again one by one; one that was alone, or has had its deaths, has failed."""
        for item in items:
            if (alone and len(items) == 1) or item.deaths >= _MOST_DEATHS:
                yield item.key, failure
            else:
                item.alone = True
                waiting.appendleft(item)

    def _wait_on(self, member: _Member) -> None:
        """A cluster with no room for all of its workers goes on with those it has, if any."""
        if not self._idle and not any(one.items for one in self._busy):
            raise WorkersError(
                f"no worker has started within {_SECONDS_TO_START:g} s; 'ray status' says what "
                f"the cluster {self._cluster.address} has, and what takes it"
            )
        member.due = math.inf

    def _count_failed_start(self, error: BaseException) -> None:
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise WorkersError(f"the workers end while they start: {_line(error)}") from error

    def _dismiss(self, member: _Member) -> None:
        self._busy.remove(member)
        self._kill(member)

    def _kill(self, member: _Member) -> None:
        if self._ray.is_initialized():
            self._ray.kill(member.actor, no_restart=True)


def _batch(waiting: deque[_Item], count: int) -> list[_Item]:
    """The next items of a call; one that has to be alone is."""
    batch = [waiting.popleft()]
    while waiting and len(batch) < count and not (batch[0].alone or waiting[0].alone):
        batch.append(waiting.popleft())
    return batch


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
