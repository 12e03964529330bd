"""The predictors that ship, as parts; no model library is imported until one is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.plugins import Request, Setting
from train.predictors.base import Predictor, Recipe
from train.predictors.classes.parts import (
    ENSEMBLE_OF_CLASSES,
    GBT_OF_CLASSES,
    SKLEARN_OF_CLASSES,
)
from train.predictors.registry import PredictorPart
from train.predictors.settings import Count, ListOf, Number
from train.predictors.shared_settings import (
    LICENCE,
    LICENCE_OF_SKLEARN,
    OF_ENSEMBLE,
    OF_TREES,
    of_sklearn,
)


def _mlp(request: Request) -> Recipe:
    from train.predictors.mlp import MLP

    return MLP(**request.settings)


def _restored_mlp(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.mlp import MLPPredictor

    return MLPPredictor.from_bytes(settings, weights)


MLP = PredictorPart(
    name="mlp",
    summary="The paper's predictor, a residual MLP with early stopping.",
    make=_mlp,
    restore=_restored_mlp,
    licence=LICENCE,
    settings=(
        ListOf(
            "widths",
            int,
            (1024,) * 4 + (512,) * 3 + (256,) * 3 + (128,) * 3 + (64,) * 2 + (32,),
            "Widths of the hidden layers.",
        ),
        Number("learning_rate", float, 1e-4, "Adam's step size."),
        Count("batch_size", int, 32, "Rows of a step."),
        Count("max_epochs", int, 2000, "Most passes over the training rows."),
        Count("patience", int, 100, "Epochs without a lower validation error before it stops."),
    ),
)


def _ensemble(request: Request) -> Recipe:
    from train.predictors.ensemble.recipe import Ensemble

    return Ensemble(**request.settings)


def _restored_ensemble(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.ensemble.predictor import EnsemblePredictor

    return EnsemblePredictor.from_bytes(settings, weights)


ENSEMBLE = PredictorPart(
    name="ensemble",
    summary="A Gaussian process blended with small networks, with calibrated intervals.",
    make=_ensemble,
    restore=_restored_ensemble,
    licence=LICENCE,
    settings=OF_ENSEMBLE,
    classifier=ENSEMBLE_OF_CLASSES,
)


def _boosted_trees(request: Request) -> Recipe:
    from train.predictors.baselines.boosted_trees import BoostedTrees

    return BoostedTrees(**request.settings)


def _restored_trees(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.baselines.boosted_trees import Trees

    return Trees.from_bytes(settings, weights)


BOOSTED_TREES = PredictorPart(
    name="gbt",
    summary="Gradient-boosted trees, scikit-learn's, stopped by the validation rows.",
    make=_boosted_trees,
    restore=_restored_trees,
    licence=LICENCE,
    settings=(
        ListOf(
            "losses",
            str,
            ("absolute_error", "squared_error"),
            "Losses to try; the one with the lower validation error is kept.",
            choices=("absolute_error", "squared_error"),
        ),
        *OF_TREES,
    ),
    classifier=GBT_OF_CLASSES,
)


def _alignn(request: Request) -> Recipe:
    from train.predictors.graph.scratch import Alignn

    return Alignn(**request.settings)


def _restored_alignn(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.graph.scratch import AlignnPredictor

    return AlignnPredictor.from_bytes(settings, weights)


ALIGNN = PredictorPart(
    name="alignn",
    summary="ALIGNN trained from scratch on the structures; it takes no vectors.",
    make=_alignn,
    restore=_restored_alignn,
    reads="structures",
    licence=LICENCE,
    settings=(
        Count("alignn_layers", int, 4, "Convolutions on bonds and angles."),
        Count("gcn_layers", int, 4, "Convolutions on bonds alone."),
        Count("hidden_features", int, 256, "Width of the layers."),
        Count("epochs", int, 50, "Passes over the training rows."),
        Count("batch_size", int, 64, "Crystals in a step."),
        Number("learning_rate", float, 1e-3, "The highest of the one-cycle schedule."),
        Number("weight_decay", float, 1e-5, "AdamW's."),
        Setting(
            "use_canonize",
            bool,
            True,
            "Whether an edge that both of its ends would draw is drawn once.",
        ),
        Setting(
            "precision",
            str,
            "float32",
            "Of matrix products.",
            choices=("float32", "bfloat16"),
        ),
        Setting("device", str, "cpu", "Where it computes: cpu or cuda."),
    ),
)


def _constant(request: Request) -> Recipe:
    from train.predictors.baselines.constant import Constant

    return Constant(request.part.name)


def _restored_constant(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.baselines.constant import ConstantPredictor

    return ConstantPredictor.from_bytes(settings, weights)


MEAN, MEDIAN = (
    PredictorPart(
        name=name,
        summary=f"The {name} of the training targets for every material.",
        make=_constant,
        restore=_restored_constant,
        reads="nothing",
        licence=LICENCE,
    )
    for name in ("mean", "median")
)


def _sklearn(request: Request) -> Recipe:
    from train.predictors.estimators.recipe import Estimator

    return Estimator.of_settings(request.settings)


def _restored_sklearn(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.estimators.recipe import EstimatorPredictor

    return EstimatorPredictor.from_bytes(settings, weights)


def _parameters(settings: Mapping[str, Any]) -> Sequence[Setting]:
    from train.predictors.estimators.names import parameter_settings

    return parameter_settings(settings["estimator"])


SKLEARN = PredictorPart(
    name="sklearn",
    summary="Any of scikit-learn's regressors, or classifiers, that arrays can hold, calibrated.",
    make=_sklearn,
    restore=_restored_sklearn,
    further=_parameters,
    packages=("scikit-learn",),
    licence=LICENCE_OF_SKLEARN,
    settings=of_sklearn("RandomForestRegressor"),
    classifier=SKLEARN_OF_CLASSES,
)
