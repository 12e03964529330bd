"""What the commands of ``featurestore train`` do, as functions for programs and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import InvalidInputError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views.request import GRAPH, ViewRequest
from featurestore.views.view import TrainingView
from train.benchmark.grid import Grid
from train.benchmark.run import Benchmark, run_benchmark, stored_benchmark
from train.crossfit.final import train_final
from train.crossfit.fold_models import cross_validate as cross_validate_recipe
from train.crossfit.result import CrossValidated
from train.forecasts.predictor import Predictor
from train.forecasts.result import Forecasts
from train.forecasts.stored import score_forecasts
from train.model_request import ModelRequest
from train.models import SeedGroup, StoredModel, requested_models, seed_groups, stored_models
from train.predictors.base import Recipe
from train.predictors.loading import LoadedModel, load_model
from train.predictors.registry import make_recipe, predictor_part
from train.tasks.choose import has_classes
from train.training import TrainingResult, train_model


def fit(
    store: FeatureStore,
    view: TrainingView | ViewRequest,
    predictor: str = "ensemble",
    *,
    seed: int = 0,
    then: Callable[[Session, StoredModel], object] | None = None,
    **settings: Any,
) -> TrainingResult:
    """Train a predictor on a view and store it with its predictions, or find it there.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    view : TrainingView or ViewRequest
        With a split. For a predictor that learns from the structures themselves, a request: of
        its features nothing is read.
    predictor : str
        "mlp", "ensemble", "gbt", "sklearn", …; see ``featurestore parts predictors``.
    seed : int
        Of everything random.
    then : callable, optional
        Called with the stored model at the end, for example `train.mlflow.MlflowRuns`.
    **settings
        Of the predictor, other than its defaults.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is no such predictor or setting, or the view cannot be learned from.
    MissingDataError
        If a fold lacks the rows to train or to stop by.
    TrainingError
        If the training diverges.
    """
    if isinstance(view, ViewRequest):
        recipe, request = _recipe_and_request(store, predictor, settings, view)
        view = store.view(request)
    else:
        recipe = make_recipe(predictor, settings, classes=bool(view.parameters.classes))
    result = train_model(store, view, recipe, seed)
    if then is not None:
        with store.session() as session:
            then(session, result.model)
    return result


def cross_validate(
    store: FeatureStore,
    request: ViewRequest,
    predictor: str = "ensemble",
    *,
    seed: int = 0,
    against: str | None = None,
    jobs: int = 1,
    **settings: Any,
) -> CrossValidated:
    """Train on every split of a cross-validation, or of what is left out in turn.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    request : ViewRequest
        The view; its ``split`` is the common name of the splits.
    predictor : str
        See `fit`; ``seed`` and ``**settings`` likewise.
    against : str, optional
        A cross-validation by which the cost of being left out is told.
    jobs : int
        Worker processes.

    Raises
    ------
    UnknownNameError, InvalidInputError, MissingDataError, TrainingError, FoldFailedError
        As for `train.crossfit.fold_models.cross_validate`.
    """
    recipe, request = _recipe_and_request(store, predictor, settings, request)
    return cross_validate_recipe(store, request, recipe, seed, against=against, jobs=jobs)


def final(
    store: FeatureStore,
    request: ViewRequest,
    predictor: str = "ensemble",
    *,
    seed: int = 0,
    jobs: int = 1,
    **settings: Any,
) -> TrainingResult:
    """Learn from all materials of a cross-validation; its error and intervals come from that.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    request : ViewRequest
        The view; its ``split`` is the name of the cross-validation.
    predictor : str
        See `fit`; ``seed`` and ``**settings`` likewise.
    jobs : int
        Worker processes for the models of the folds.

    Raises
    ------
    UnknownNameError, InvalidInputError, MissingDataError, TrainingError, FoldFailedError
        As for `train.crossfit.final.train_final`.
    """
    recipe, request = _recipe_and_request(store, predictor, settings, request)
    return train_final(store, request, recipe, seed, jobs=jobs)


def _recipe_and_request(
    store: FeatureStore, predictor: str, settings: dict[str, Any], request: ViewRequest
) -> tuple[Recipe, ViewRequest]:
    classes = has_classes(store, request.property, request.property_source)
    recipe = make_recipe(predictor, settings, classes=classes)
    if predictor_part(predictor).reads == "structures":
        request = replace(request, features=GRAPH, inputs=(), feature_set=None)
    return recipe, request


def compare(
    store: FeatureStore,
    properties: str | Sequence[str],
    split: str,
    *,
    feature_sets: Sequence[str] = (),
    reference: str | None = None,
    structure_encoders: Sequence[str] = (),
    text_sources: Sequence[str] = (),
    text_encoders: Sequence[str] = (),
    features: Sequence[str] = (),
    predictors: Sequence[str] = ("ensemble",),
    seeds: int | Sequence[int] = 1,
    settings: dict[str, dict[str, Any]] | None = None,
    where: str | None = None,
    property_source: str | None = None,
    jobs: int = 1,
    train: bool = True,
) -> Benchmark:
    """Train every combination that is missing, and compare all on the same test materials.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    properties : str or sequence of str
        What to predict.
    split : str
        Gives the folds.
    feature_sets : sequence of str
        Names of stored feature sets.
    reference : str, optional
        The feature set with which the others are compared; by default the first.
    structure_encoders, text_sources, text_encoders, features : sequence of str
        In place of feature sets or beside them: every combination of these.
    predictors : sequence of str
        Others are compared with the first.
    seeds : int or sequence of int
        How many, from 0, or which.
    settings : dict, optional
        For each predictor its settings other than the defaults.
    where : str, optional
        Only materials for which this SQL condition holds.
    property_source : str, optional
        Where the targets have several.
    jobs : int
        Worker processes.
    train : bool
        Whether what is missing is trained; else only stored models are shown.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If the combination makes no sense, or a name is unknown.
    """
    grid = Grid(
        properties=(properties,) if isinstance(properties, str) else tuple(properties),
        split=split,
        features=tuple(features),
        text_sources=tuple(text_sources),
        structure_encoders=tuple(structure_encoders),
        text_encoders=tuple(text_encoders),
        predictors=tuple(predictors),
        seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds),
        changes=settings or {},
        property_source=property_source,
        feature_sets=tuple(feature_sets),
        reference_set=reference,
        where=where,
    )
    return run_benchmark(store, grid, jobs) if train else stored_benchmark(store, grid)


def stored(
    store: FeatureStore,
    *names: str,
    property: str | None = None,
    split: str | None = None,
    where: str | None = None,
) -> list[SeedGroup]:
    """Stored models, those that differ only by their seed together.

    Parameters
    ----------
    store : FeatureStore
        Where.
    *names : str
        Ids or their beginnings; by default all models that match the rest.
    property, split : str, optional
        What they were trained on.
    where : str, optional
        SQL condition over the columns of ``models`` and ``text_source``.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If a name is of no model or of several.
    """
    if names and (property or split or where):
        raise InvalidInputError("models are named, or chosen by property, split or where")
    with store.session() as session:
        if names:
            return seed_groups(requested_models(session, ModelRequest(names)))
        return seed_groups(stored_models(session, property, split, where))


def predict(
    store: FeatureStore,
    sources: str | Path | Sequence[str | Path] = (),
    *,
    ids: Sequence[str] = (),
    where: str | None = None,
    properties: str | Sequence[str] = (),
    models: str | Sequence[str] = (),
    keep: bool = True,
    dataset: str | None = None,
) -> Forecasts:
    """Predict materials once; `Predictor` keeps what it loads, for several calls.

    Parameters
    ----------
    store : FeatureStore
        Read, and written unless ``keep`` is false.
    sources : path, or several
        Structure files, folders, archives or globs.
    ids : sequence of str
        Materials of the store.
    where : str, optional
        Materials of the store for which this SQL condition holds.
    properties, models : str or sequence of str
        What to predict, and by which models; by default all properties that have models.
    keep : bool
        Whether candidates and forecasts are stored.
    dataset : str, optional
        Name recorded for the data set of the files.

    Raises
    ------
    MissingDataError, UnknownNameError, InvalidInputError
        As for `Predictor` and `Predictor.predict`.
    """
    named = (properties,) if isinstance(properties, str) else tuple(properties)
    chosen = (models,) if isinstance(models, str) else tuple(models)
    with Predictor(store, named, models=chosen, keep=keep) as predictor:
        return predictor.predict(sources, ids=ids, where=where, dataset=dataset)


def score(
    store: FeatureStore, property: str | None = None, *, property_source: str | None = None
) -> pa.Table:
    """Errors and coverage of past forecasts whose targets have come since; see `score_forecasts`.

    Raises
    ------
    MissingDataError
        If there is no forecast.
    InvalidInputError
        If a target turns up twice.
    """
    return score_forecasts(store, property, property_source)


def load(store: FeatureStore, name: str) -> LoadedModel:
    """A stored model that can predict, by its id or its beginning.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is none, there are several, or its weights cannot be read.
    """
    return load_model(store, name)
