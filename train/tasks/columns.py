"""The columns of tables in which models of numbers and of classes may stand together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from train.models import SeedGroup, StoredModel
from train.tasks.numbers import Numbers


def errors_of(models: Iterable[StoredModel]) -> list[str]:
    """The names of the errors of some models, the MAE first; of none the MAE."""
    found = dict.fromkeys(model.task.error for model in models)
    return sorted(found, key=lambda name: (name != Numbers.error, name)) or [Numbers.error]


def measures_of(models: Iterable[StoredModel]) -> list[str]:
    """The names of what is measured of classes beside their error; nothing where none has them."""
    tasks = (model.task for model in models)
    found = (name for task in tasks for name in task.beside if name != task.error)
    return list(dict.fromkeys(found))


def measured_of(group: SeedGroup) -> dict[str, Any]:
    """``test_NAME`` of each such measure: the mean over seeds, None where it is not defined."""
    found = {}
    for name in measures_of(group):
        values = [model.metrics["folds"]["test"][name] for model in group]
        found[f"test_{name}"] = None if None in values else sum(values) / len(values)
    return found
