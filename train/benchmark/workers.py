"""Trains the models of a benchmark in worker processes, one thread each.

One thread makes a model's bytes independent of how many processes there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import wait as wait_for_objects
from typing import Any

from featurestore.failure import Failure
from featurestore.store import FeatureStore
from featurestore.view_request import ViewRequest
from featurestore.views import TrainingView
from train.benchmark.grid import Cell

_IN_FLIGHT_A_WORKER = 2
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
        The store; each worker opens it itself.
    cells : sequence of Cell
        Neighbours with the same training view read its vectors once.
    changes : mapping
        For each recipe the settings in which it departs from its defaults.
    jobs : int
        Number of processes.
    """
    from pebble import ProcessPool

    waiting = iter(cells)
    pending: dict[Any, Cell] = {}
    with _environment(_THREADS):
        pool = ProcessPool(jobs, initializer=_start, context=multiprocessing.get_context("spawn"))
        try:
            while True:
                while len(pending) < jobs * _IN_FLIGHT_A_WORKER and (cell := next(waiting, None)):
                    work = [store_uri, cell, changes.get(cell.predictor)]
                    pending[pool.schedule(_train, args=work)] = cell
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    yield pending.pop(future), _outcome(future)
        finally:
            pool.stop()
            pool.join()


def _outcome(future: Any) -> Trained | Failure:
    from pebble import ProcessExpired

    try:
        result: Trained | Failure = future.result()
        return result
    except ProcessExpired as error:
        return Failure(
            "WorkerDied", f"the worker process ended with code {error.exitcode} (out of memory?)"
        )


def _train(store_uri: str, cell: Cell, changes: Mapping[str, Any] | None) -> Trained | Failure:
    """Runs in a worker. An exception stays here: many cannot be sent to another process."""
    from train.recipes import make_recipe
    from train.training import train_model

    try:
        store = FeatureStore.open(store_uri)
        recipe = make_recipe(cell.predictor, changes)
        result = train_model(store, _view(store_uri, cell.request), recipe, cell.seed)
    except Exception as error:
        return Failure.of(error)
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
    # Ctrl-C reaches the whole process group; the parent decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The parent reports progress; a worker's own would run into it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import torch

    torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for_objects([parent.sentinel])
    os._exit(1)
