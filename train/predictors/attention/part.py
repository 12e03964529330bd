"""Fusion by attention as a part; torch is not imported until one is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featurestore.plugins import Request
from train.predictors.base import Predictor, Recipe
from train.predictors.registry import PredictorPart
from train.predictors.settings import Count, Number
from train.predictors.shared_settings import LICENCE


def _attention(request: Request) -> Recipe:
    from train.predictors.attention.recipe import Attention

    return Attention(**request.settings)


def _restored(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.attention.recipe import AttentionPredictor

    return AttentionPredictor.from_bytes(settings, weights)


ATTENTION = PredictorPart(
    name="attention",
    summary="Networks that attend across the parts of the features, each text and each segment.",
    make=_attention,
    restore=_restored,
    licence=LICENCE,
    settings=(
        Count("members", int, 4, "Networks."),
        Count("width", int, 64, "Of the tokens, one for each part."),
        Count("layers", int, 2, "Of attention."),
        Count("heads", int, 4, "Of each; they divide the width."),
        Number("dropout", float, 0.1, "Share of values left out in training."),
        Count("max_epochs", int, 100, "Most passes over the training rows."),
        Count("patience", int, 25, "Epochs without a lower validation error before it stops."),
        Count("batch_size", int, 64, "Rows of a step."),
        Number("learning_rate", float, 1e-3, "AdamW's highest."),
        Number("weight_decay", float, 1e-2, "AdamW's."),
    ),
)
