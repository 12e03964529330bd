"""The models of a benchmark, trained in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from featurestore.failure import Failure
from train.benchmark.grid import Cell
from train.predictors.base import Recipe
from train.predictors.registry import make_recipe
from train.workers import Asked, Trained, train_in_workers


def train_cells(
    store_uri: str,
    cells: Sequence[Cell],
    changes: Mapping[str, Mapping[str, Any]],
    jobs: int,
) -> Iterator[tuple[Cell, Trained | Failure]]:
    """Results as they come, as `train_in_workers` gives them.

    Parameters
    ----------
    cells : sequence of Cell
        Neighbours with the same training view read its vectors once.
    changes : mapping
        For each recipe the settings in which it departs from its defaults.
    """
    asked = ((cell, asked_of(cell, changes)) for cell in cells)
    return train_in_workers(store_uri, asked, jobs)


def asked_of(cell: Cell, changes: Mapping[str, Mapping[str, Any]]) -> Asked:
    """What a cell wants trained."""
    settings = changes.get(cell.predictor)
    return Asked(cell.request, partial(_recipe, cell.predictor, settings), cell.seed)


def _recipe(predictor: str, settings: Mapping[str, Any] | None, classes: bool) -> Recipe:
    return make_recipe(predictor, settings, classes=classes)
