"""Trains many models in worker processes, of this machine or of a cluster, one thread each.

One thread makes a model's bytes independent of how many processes there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from featurestore.errors import MissingDataError
from featurestore.failure import Failure
from featurestore.machine.pool import worker_pool
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from featurestore.views.view import TrainingView
from train.predictors.base import Recipe
from train.training import TrainingResult, train_model

_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

Key = TypeVar("Key")


@dataclass(frozen=True)
class Asked:
    """A model that is wanted.

    Parameters
    ----------
    request : ViewRequest
        Its training view.
    recipe : callable
        Gives the recipe, told whether the property has classes; sent to a worker.
    seed : int
        Of everything random.
    is_tested : bool
        Whether a view without a test material is refused.
    """

    request: ViewRequest
    recipe: Callable[[bool], Recipe]
    seed: int
    is_tested: bool = False

    def train(self, store: FeatureStore, view: TrainingView) -> TrainingResult:
        """The model, new or found in the store.

        Raises
        ------
        MissingDataError, InvalidInputError, TrainingError
            As for `train_model`.
        """
        if self.is_tested:
            _check_tested(view)
        return train_model(store, view, self.recipe(bool(view.parameters.classes)), self.seed)


@dataclass(frozen=True)
class Trained:
    """A model that is there: new, or found in the store."""

    model_id: str
    is_new: bool
    notes: tuple[str, ...]


def train_in_workers(
    store_uri: str, asked: Iterable[tuple[Key, Asked]], jobs: int
) -> Iterator[tuple[Key, Trained | Failure]]:
    """Results as they come; what cannot be trained, and what dies, is a `Failure`.

    Parameters
    ----------
    store_uri : str
        The store; each worker opens it itself: on a cluster, by the same path or bucket.
    asked : iterable of (key, Asked)
        Neighbours with the same training view read its vectors once.
    jobs : int
        Number of processes.
    """
    if "://" not in store_uri:
        store_uri = str(Path(store_uri).absolute())  # a cluster's workers start elsewhere
    items = ((key, (store_uri, one)) for key, one in asked)
    with _environment(_THREADS), worker_pool(jobs, _start) as pool:
        yield from pool.run(trained, items)


def trained(item: tuple[str, Asked]) -> Trained:
    """Runs in a worker, on a store's URI and what is asked for."""
    store_uri, asked = item
    result = asked.train(FeatureStore.open(store_uri), _view(store_uri, asked.request))
    return Trained(result.model.model_id, result.trained, result.notes)


def _check_tested(view: TrainingView) -> None:
    if not view.in_fold("test").any():
        p = view.parameters
        lacking = ", ".join(f"{n} lack a {what}" for what, n in view.excluded.items())
        raise MissingDataError(
            f"split {p.split!r} leaves no material to test on for {p.property!r}"
            + (f" (of its other materials {lacking})" if lacking else "")
            + ": make fewer folds, or a cross-validation for these materials alone"
        )


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
