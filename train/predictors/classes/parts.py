"""The predictors of classes that ship; each is the ``classifier`` of the part of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.plugins import Request, Setting
from train.predictors.base import Predictor, Recipe
from train.predictors.classes.classifier import Classification, Classifier
from train.predictors.registry import PredictorPart, of_classes_alone
from train.predictors.shared_settings import (
    LICENCE,
    LICENCE_OF_SKLEARN,
    OF_ENSEMBLE,
    OF_TREES,
    of_sklearn,
)


def _ensemble_for_classes(request: Request) -> Recipe:
    from train.predictors.classes.ensemble import EnsembleForClasses

    return Classification(EnsembleForClasses(**request.settings))


def _restored_ensemble_of_classes(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.classes.ensemble import EnsembleOfClasses

    return Classifier.from_bytes(EnsembleOfClasses, weights)


ENSEMBLE_OF_CLASSES = PredictorPart(
    name="ensemble",
    summary="A Gaussian process blended with small networks, for classes.",
    make=_ensemble_for_classes,
    restore=_restored_ensemble_of_classes,
    licence=LICENCE,
    settings=OF_ENSEMBLE,
)


def _trees_for_classes(request: Request) -> Recipe:
    from train.predictors.classes.boosted_trees import BoostedTreesOfClasses

    return Classification(BoostedTreesOfClasses(**request.settings))


def _restored_trees_of_classes(settings: Mapping[str, Any], weights: bytes) -> Predictor:
    from train.predictors.classes.boosted_trees import TreesOfClasses

    return Classifier.from_bytes(TreesOfClasses, weights)


GBT_OF_CLASSES = PredictorPart(
    name="gbt",
    summary="Gradient-boosted trees for classes, stopped by the validation rows.",
    make=_trees_for_classes,
    restore=_restored_trees_of_classes,
    licence=LICENCE,
    settings=OF_TREES,
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
        licence=LICENCE,
    )
)


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


SKLEARN_OF_CLASSES = PredictorPart(
    name="sklearn",
    summary="Any of scikit-learn's classifiers that arrays can hold.",
    make=_sklearn_for_classes,
    restore=_restored_sklearn_of_classes,
    further=_parameters_for_classes,
    packages=("scikit-learn",),
    licence=LICENCE_OF_SKLEARN,
    settings=of_sklearn("RandomForestClassifier"),
)
