"""The training room: predictors that read training views and write models and predictions.

Its functions do what the commands of ``featurestore train`` do; each is imported when it is first
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.lazy import lazily

if TYPE_CHECKING:
    from train.benchmark.run import Benchmark
    from train.forecasts.predictor import Predictor
    from train.forecasts.result import Forecasts
    from train.library import compare, fit, load, predict, score, stored
    from train.models import SeedGroup, StoredModel
    from train.predictors.loading import LoadedModel
    from train.training import TrainingResult
    from train.upkeep import Status, status, update

__all__ = [
    "Benchmark",
    "Forecasts",
    "LoadedModel",
    "Predictor",
    "SeedGroup",
    "Status",
    "StoredModel",
    "TrainingResult",
    "compare",
    "fit",
    "load",
    "predict",
    "score",
    "status",
    "stored",
    "update",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Benchmark": "train.benchmark.run",
        "Forecasts": "train.forecasts.result",
        "LoadedModel": "train.predictors.loading",
        "Predictor": "train.forecasts.predictor",
        "SeedGroup": "train.models",
        "Status": "train.upkeep",
        "StoredModel": "train.models",
        "TrainingResult": "train.training",
        "compare": "train.library",
        "fit": "train.library",
        "load": "train.library",
        "predict": "train.library",
        "score": "train.library",
        "status": "train.upkeep",
        "stored": "train.library",
        "update": "train.upkeep",
    },
)
