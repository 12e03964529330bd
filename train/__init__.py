"""The training room: predictors that read training views and write models and predictions.

Its functions do what the commands of ``featurestore train`` do; each is imported when it is first
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.benchmark.run import Benchmark
    from train.library import compare, fit, load, stored
    from train.models import SeedGroup, StoredModel
    from train.predictors.loading import LoadedModel
    from train.training import TrainingResult

__all__ = [
    "Benchmark",
    "LoadedModel",
    "SeedGroup",
    "StoredModel",
    "TrainingResult",
    "compare",
    "fit",
    "load",
    "stored",
]

_HOMES = {
    "Benchmark": "train.benchmark.run",
    "LoadedModel": "train.predictors.loading",
    "SeedGroup": "train.models",
    "StoredModel": "train.models",
    "TrainingResult": "train.training",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "train.library")), name)
    raise AttributeError(f"module 'train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
