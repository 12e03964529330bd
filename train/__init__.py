"""The training room: predictors that read training views and write models and predictions.

Its functions do what the commands of ``featurestore train`` do; each is imported when it is first
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.lazy import lazily

if TYPE_CHECKING:
    from train.benchmark.run import Benchmark
    from train.crossfit.result import CrossValidated
    from train.figures import draw_groups, draw_loss, draw_parity
    from train.forecasts.predictor import Predictor
    from train.forecasts.result import Forecasts
    from train.library import (
        compare,
        cross_validate,
        final,
        fit,
        load,
        predict,
        score,
        stored,
    )
    from train.models import SeedGroup, StoredModel
    from train.predictors.loading import LoadedModel
    from train.screening.campaigns import CampaignPlan, Replay
    from train.screening.choice import Choice
    from train.screening.figure import write_screening_figure
    from train.screening.replay import replay
    from train.screening.replay_figure import write_replay_figure
    from train.screening.result import Screening
    from train.screening.screen import screen
    from train.screening.structures import write_structures
    from train.screening.wants import Want
    from train.training import TrainingResult
    from train.upkeep import Status, status, update

__all__ = [
    "Benchmark",
    "CampaignPlan",
    "Choice",
    "CrossValidated",
    "Forecasts",
    "LoadedModel",
    "Predictor",
    "Replay",
    "Screening",
    "SeedGroup",
    "Status",
    "StoredModel",
    "TrainingResult",
    "Want",
    "compare",
    "cross_validate",
    "draw_groups",
    "draw_loss",
    "draw_parity",
    "final",
    "fit",
    "load",
    "predict",
    "replay",
    "score",
    "screen",
    "status",
    "stored",
    "update",
    "write_replay_figure",
    "write_screening_figure",
    "write_structures",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Benchmark": "train.benchmark.run",
        "CampaignPlan": "train.screening.campaigns",
        "Choice": "train.screening.choice",
        "CrossValidated": "train.crossfit.result",
        "Forecasts": "train.forecasts.result",
        "LoadedModel": "train.predictors.loading",
        "Predictor": "train.forecasts.predictor",
        "Replay": "train.screening.campaigns",
        "Screening": "train.screening.result",
        "SeedGroup": "train.models",
        "Status": "train.upkeep",
        "StoredModel": "train.models",
        "TrainingResult": "train.training",
        "Want": "train.screening.wants",
        "compare": "train.library",
        "cross_validate": "train.library",
        "draw_groups": "train.figures",
        "draw_loss": "train.figures",
        "draw_parity": "train.figures",
        "final": "train.library",
        "fit": "train.library",
        "load": "train.library",
        "predict": "train.library",
        "replay": "train.screening.replay",
        "score": "train.library",
        "screen": "train.screening.screen",
        "status": "train.upkeep",
        "stored": "train.library",
        "update": "train.upkeep",
        "write_replay_figure": "train.screening.replay_figure",
        "write_screening_figure": "train.screening.figure",
        "write_structures": "train.screening.structures",
    },
)
