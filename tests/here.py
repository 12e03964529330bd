"""Stands in for the worker processes of a benchmark: each takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featurestore.failure import Failure
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
