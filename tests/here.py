"""Stands in for worker processes, here and on a cluster: each takes seconds to start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from featurestore.failure import Failure
from featurestore.machine import cluster as cluster_module
from featurestore.machine import ray_workers
from featurestore.machine.cluster import Cluster
from featurestore.machine.workers import attempt, no_initializer
from train import workers
from train.benchmark.grid import Cell
from train.benchmark.workers import asked_of
from train.workers import Trained


def train_here(
    store_uri: str, cells: Sequence[Cell], changes: Mapping[str, Any], jobs: int
) -> Iterator[tuple[Cell, Trained | Failure]]:
    """As `train.benchmark.workers.train_cells`, in this process."""
    workers._view.cache_clear()
    for cell in cells:
        try:
            yield cell, workers.trained((store_uri, asked_of(cell, changes)))
        except Exception as error:
            yield cell, Failure.of(error)


class PoolHere:
    """Stands in for `RayPool`: the same results, in this process."""

    def __init__(
        self,
        workers: int,
        initializer: Callable[..., None] = no_initializer,
        initargs: tuple[Any, ...] = (),
        memory_limit: int | None = None,
        *,
        cluster: Cluster,
    ) -> None:
        initializer(*initargs)

    def __enter__(self) -> PoolHere:
        return self

    def __exit__(self, *_: object) -> None: ...

    def run(
        self,
        work: Callable[[Any], Any],
        items: Iterable[tuple[Any, Any]],
        time_limit: float | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        for key, item in items:
            yield key, attempt(work, item)


@contextmanager
def cluster_here() -> Iterator[None]:
    """As on a cluster of one worker, which is this process."""
    token = cluster_module._chosen.set(Cluster("127.0.0.1:1"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ray_workers, "RayPool", PoolHere)
            patch.setattr(Cluster, "capacity", lambda _: 1)
            # It closes the standard error of its process.
            patch.setattr(workers, "_start", no_initializer)
            yield
    finally:
        cluster_module._chosen.reset(token)
