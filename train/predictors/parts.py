"""The predictors that ship, as parts; no model library is imported until one is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.plugins import Request, Setting
from train.predictors.base import Predictor, Recipe
from train.predictors.classes.classifier import Classification, Classifier
from train.predictors.registry import PredictorPart, of_classes_alone
from train.predictors.settings import Count, ListOf, Number

_LICENCE = "MIT"


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
    licence=_LICENCE,
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


_OF_ENSEMBLE = (
    Count("members", int, 8, "Networks."),
    Count("depth", int, 6, "Their residual layers."),
    Count("width", int, 192, "Of their hidden layers."),
    Count("epochs", int, 40, "Passes of the networks over their rows, in both trainings."),
    Count("batch_size", int, 128, "Rows of a step."),
    Number("learning_rate", float, 2e-3, "AdamW's highest."),
    Number("weight_decay", float, 1e-2, "AdamW's."),
    Count("rows_to_tune", int, 1000, "Random training rows by which the kernel is tuned."),
    Count(
        "rows_of_process",
        int,
        25_000,
        "Rows that the process learns from, of more a random choice; it takes 8 bytes for each "
        "pair of them.",
    ),
    Number(
        "kernel_power",
        float,
        1.0,
        "Power of the kernel's weights by which the networks' segments are sized; 0 leaves "
        "them alike.",
    ),
    Number(
        "column_power",
        float,
        0.0,
        "0 leaves a segment's columns at their sizes, 1 makes them equal.",
    ),
    Number(
        "component_power",
        float,
        0.0,
        "0 leaves a segment's principal components at their sizes, 1 makes them equal.",
    ),
    Setting("learn_from_val", bool, True, "Whether it learns from the validation rows, too."),
)


def _ensemble_for_classes(request: Request) -> Recipe:
    from train.predictors.classes.ensemble import EnsembleForClasses

    return Classification(EnsembleForClasses(**request.settings))


def _restored_ensemble_of_classes(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.classes.ensemble import EnsembleOfClasses

    return Classifier.from_bytes(EnsembleOfClasses, weights)


ENSEMBLE = PredictorPart(
    name="ensemble",
    summary="A Gaussian process blended with small networks, with calibrated intervals.",
    make=_ensemble,
    restore=_restored_ensemble,
    licence=_LICENCE,
    settings=_OF_ENSEMBLE,
    classifier=PredictorPart(
        name="ensemble",
        summary="A Gaussian process blended with small networks, for classes.",
        make=_ensemble_for_classes,
        restore=_restored_ensemble_of_classes,
        licence=_LICENCE,
        settings=_OF_ENSEMBLE,
    ),
)


def _boosted_trees(request: Request) -> Recipe:
    from train.predictors.baselines.boosted_trees import BoostedTrees

    return BoostedTrees(**request.settings)


def _restored_trees(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.baselines.boosted_trees import Trees

    return Trees.from_bytes(settings, weights)


def _trees_for_classes(request: Request) -> Recipe:
    from train.predictors.classes.boosted_trees import BoostedTreesOfClasses

    return Classification(BoostedTreesOfClasses(**request.settings))


def _restored_trees_of_classes(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.classes.boosted_trees import TreesOfClasses

    return Classifier.from_bytes(TreesOfClasses, weights)


_OF_TREES = (
    Number("learning_rate", float, 0.05, "Shrinkage of each tree."),
    Count("max_leaves", int, 31, "Most leaves of a tree."),
    Count("min_rows_a_leaf", int, 10, "Fewest training rows of a leaf."),
    Number("share_of_features", float, 0.5, "Of the columns, how many a split may choose among."),
    Count("max_epochs", int, 2000, "Most trees."),
    Count("patience", int, 100, "Trees without a lower validation error before it stops."),
)

BOOSTED_TREES = PredictorPart(
    name="gbt",
    summary="Gradient-boosted trees, scikit-learn's, stopped by the validation rows.",
    make=_boosted_trees,
    restore=_restored_trees,
    licence=_LICENCE,
    settings=(
        ListOf(
            "losses",
            str,
            ("absolute_error", "squared_error"),
            "Losses to try; the one with the lower validation error is kept.",
            choices=("absolute_error", "squared_error"),
        ),
        *_OF_TREES,
    ),
    classifier=PredictorPart(
        name="gbt",
        summary="Gradient-boosted trees for classes, stopped by the validation rows.",
        make=_trees_for_classes,
        restore=_restored_trees_of_classes,
        licence=_LICENCE,
        settings=_OF_TREES,
    ),
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
    licence=_LICENCE,
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
        licence=_LICENCE,
    )
    for name in ("mean", "median")
)


def _frequencies(request: Request) -> Recipe:
    from train.predictors.classes.frequencies import Frequencies

    return Classification(Frequencies())


def _restored_frequencies(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.classes.frequencies import SameForAll

    return Classifier.from_bytes(SameForAll, weights)


FREQUENCIES = of_classes_alone(
    PredictorPart(
        name="frequencies",
        summary="For each class its share of the training targets; of classes alone.",
        make=_frequencies,
        restore=_restored_frequencies,
        reads="nothing",
        licence=_LICENCE,
    )
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


def _sklearn_for_classes(request: Request) -> Recipe:
    from train.predictors.classes.estimators import EstimatorForClasses

    return Classification(EstimatorForClasses.of_settings(request.settings))


def _restored_sklearn_of_classes(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.classes.estimators import EstimatorOfClasses

    return Classifier.from_bytes(EstimatorOfClasses, weights)


def _parameters_for_classes(settings: Mapping[str, Any]) -> Sequence[Setting]:
    from train.predictors.classes.forms import MODULES
    from train.predictors.estimators.names import parameter_settings

    return parameter_settings(settings["estimator"], MODULES)


def _of_sklearn(default: str) -> tuple[Setting, ...]:
    return (
        Setting(
            "estimator",
            str,
            default,
            "Name of the class; its parameters are settings, too, as n_estimators=200.",
        ),
        Setting(
            "standardise",
            bool,
            False,
            "Whether each column is centred and scaled to unit variance first.",
        ),
        Setting("learn_from_val", bool, True, "Whether it learns from the validation rows, too."),
    )


_LICENCE_OF_SKLEARN = "BSD-3-Clause (scikit-learn)"

SKLEARN = PredictorPart(
    name="sklearn",
    summary="Any of scikit-learn's regressors, or classifiers, that arrays can hold, calibrated.",
    make=_sklearn,
    restore=_restored_sklearn,
    further=_parameters,
    packages=("scikit-learn",),
    licence=_LICENCE_OF_SKLEARN,
    settings=_of_sklearn("RandomForestRegressor"),
    classifier=PredictorPart(
        name="sklearn",
        summary="Any of scikit-learn's classifiers that arrays can hold.",
        make=_sklearn_for_classes,
        restore=_restored_sklearn_of_classes,
        further=_parameters_for_classes,
        packages=("scikit-learn",),
        licence=_LICENCE_OF_SKLEARN,
        settings=_of_sklearn("RandomForestClassifier"),
    ),
)
