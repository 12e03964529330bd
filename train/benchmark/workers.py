"""Trains the models of a benchmark in worker processes, one thread each.

One thread makes a model's bytes independent of how many processes there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from featurestore.failure import Failure
from featurestore.machine.pool import worker_pool
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from featurestore.views.view import TrainingView
from train.benchmark.grid import Cell

_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Trained:
    """A model that a cell has: new, or found in the store."""

    model_id: str
    is_new: bool
    notes: tuple[str, ...]


def train_cells(
    store_uri: str,
    cells: Sequence[Cell],
    changes: Mapping[str, Mapping[str, Any]],
    jobs: int,
) -> Iterator[tuple[Cell, Trained | Failure]]:
    """Results as they come; what cannot be trained, and what dies, is a `Failure`.

    Parameters
    ----------
    store_uri : str
        The store; each worker opens it itself: on a cluster, by the same path or bucket.
    cells : sequence of Cell
        Neighbours with the same training view read its vectors once.
    changes : mapping
        For each recipe the settings in which it departs from its defaults.
    jobs : int
        Number of processes.
    """
    if "://" not in store_uri:
        store_uri = str(Path(store_uri).absolute())  # a cluster's workers start elsewhere
    items = ((cell, (store_uri, cell, changes.get(cell.predictor))) for cell in cells)
    with _environment(_THREADS), worker_pool(jobs, _start) as pool:
        yield from pool.run(_train, items)


def _train(item: tuple[str, Cell, Mapping[str, Any] | None]) -> Trained:
    """Runs in a worker."""
    from train.predictors.registry import make_recipe
    from train.training import train_model

    store_uri, cell, changes = item
    store = FeatureStore.open(store_uri)
    view = _view(store_uri, cell.request)
    recipe = make_recipe(cell.predictor, changes, classes=bool(view.parameters.classes))
    result = train_model(store, view, recipe, cell.seed)
    return Trained(result.model.model_id, result.trained, result.notes)


@lru_cache(maxsize=1)
def _view(store_uri: str, request: ViewRequest) -> TrainingView:
    return FeatureStore.open(store_uri).view(request)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that child processes inherit; the libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start() -> None:
    # The parent reports progress; a worker's own would run into it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import torch
    from threadpoolctl import threadpool_limits

    # Also where the libraries were loaded with more, as in a cluster's worker of several CPUs.
    threadpool_limits(1)
    torch.set_num_threads(1)
