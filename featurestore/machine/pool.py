"""The pool of workers that a stage gets: processes of this machine, or of a Ray cluster's.

Which it is, is said once around a command, with `on_cluster`; stages ask for a pool and do not
know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol

from featurestore.failure import Failure
from featurestore.machine.cluster import chosen_cluster
from featurestore.machine.processors import processors
from featurestore.machine.workers import WorkerPool, no_initializer


class Pool(Protocol):
    """What `WorkerPool` does, wherever its workers are."""

    def __enter__(self) -> Pool: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def run(
        self,
        work: Callable[[Any], Any],
        items: Iterable[tuple[Any, Any]],
        time_limit: float | None = None,
    ) -> Iterator[tuple[Any, Any | Failure]]:
        """Results as they come; see `WorkerPool.run`."""
        ...


def worker_pool(
    workers: int,
    initializer: Callable[..., None] = no_initializer,
    initargs: tuple[Any, ...] = (),
    memory_limit: int | None = None,
) -> Pool:
    """A pool on the cluster that was chosen, or else of processes here; as for `WorkerPool`."""
    cluster = chosen_cluster()
    if cluster is None:
        return WorkerPool(workers, initializer, initargs, memory_limit)
    from featurestore.machine.ray_workers import RayPool

    return RayPool(workers, initializer, initargs, memory_limit, cluster=cluster)


def default_workers() -> int:
    """Workers of a stage that was given no number: of the cluster, or one a processor."""
    cluster = chosen_cluster()
    return processors() if cluster is None else cluster.capacity()
