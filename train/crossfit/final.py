"""The model that learns from all rows: its error is the cross-validated one, its intervals CV+."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.identity import fingerprint
from featurestore.session import Session
from featurestore.splits import cross_validation, left_out
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from featurestore.views.view import TrainingView
from train.crossfit.cv_plus import out_of_fold_uncertainty
from train.crossfit.fold_models import OutOfFold, cross_validate, out_of_fold
from train.crossfit.predictor import CrossFitted
from train.crossfit.whole import whole_split
from train.forecasts.calibration import FEWEST_ROWS
from train.metrics import regression_metrics
from train.model_rows import (
    check_predictions,
    model_metrics,
    model_row,
    new_model_id,
    prediction_rows,
)
from train.models import StoredModel
from train.predictors.base import Recipe
from train.predictors.loading import load_model
from train.predictors.uncertainty import TOO_FEW_ROWS, coverage
from train.tasks.choose import has_classes
from train.tasks.numbers import SaidOfNumbers
from train.training import (
    TrainingResult,
    checked_folds,
    model_or_none,
    run_arguments,
    timed_fit,
    view_notes,
)

#: The fold under which out-of-fold predictions are stored.
TESTED = "test"


def train_final(
    store: FeatureStore,
    request: ViewRequest,
    recipe: Recipe,
    seed: int = 0,
    *,
    jobs: int = 1,
    said: Callable[[str], None] = lambda _: None,
) -> TrainingResult:
    """Learn from all materials of a cross-validation, whose models say how far off that may be.

    What is stored of each material is the prediction of the model that did not learn from it, under
    the fold ``test``; the model's error is that of these predictions. The models of the folds are
    kept in its weights: by them `predict` makes intervals. Predictors that stop by validation rows,
    and do not learn from these afterwards, stop by some of the rows here, too.

    Parameters
    ----------
    store : FeatureStore
        Read and written: models of folds that lack are trained first, and stored.
    request : ViewRequest
        The view; its ``split`` is the name of a cross-validation.
    recipe : Recipe
        How to train.
    seed : int
        Of everything random in each training.
    jobs : int
        Worker processes for the models of the folds; see `cross_validate`.
    said : callable
        Is told the notes on the folds' models, each once.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is no such cross-validation, the property has classes, or the view cannot be
        learned from.
    MissingDataError
        If a fold has too few rows, or materials are in no fold.
    TrainingError
        If a training diverges.
    FoldFailedError
        If any of these happens to the model of a fold in a worker.
    """
    name = request.split
    if name is None:
        raise InvalidInputError("name a cross-validation as the split")
    if has_classes(store, request.property, request.property_source):
        raise InvalidInputError(
            f"{request.property!r} has classes, and CV+ makes intervals of numbers: what a "
            "cross-validation says of its models tells featurestore train cross-validate, and one "
            "model with sets of classes trains featurestore train fit on a split"
        )
    with store.session() as session:
        if left_out(session, name, request.property):
            raise InvalidInputError(
                f"{name!r} are splits that each leave something out; a model of all rows needs a "
                "cross-validation, which tests on each material once: featurestore ingest splits "
                "--folds 5"
            )
        cross_validation(session, name, request.property)

    def of_fold(note: str) -> None:
        if note != TOO_FEW_ROWS:  # all calibrate
            said(note)

    models = cross_validate(store, request, recipe, seed, jobs=jobs, said=of_fold).models
    split = whole_split(store, name, request.property)
    view = store.view(replace(request, split=split))
    folds = checked_folds(view)
    with store.session() as session:
        told = _of_rows(out_of_fold(session, models), view, name)
        notes = [*_notes(session, view, folds, name, told), *_limits(told)]
        ids = [model.model_id for model in models]
        model_id = new_model_id(session, view, recipe, seed, ids)
        found = model_or_none(session, model_id)
    if found is not None:
        return TrainingResult(found, False, tuple(notes))
    learned = recipe.inputs(store, view)
    arguments = run_arguments(view, recipe, seed) | {"of_folds": ids}
    with store.run(f"train final {recipe.name}", arguments) as run:
        fitted, seconds = timed_fit(recipe, view, learned, folds, seed, model_id)
        fitted = replace(fitted, notes=tuple(n for n in fitted.notes if n != TOO_FEW_ROWS))
        own = fitted.predictor.predict(learned)
        check_predictions(view, recipe, SaidOfNumbers(own, None))
        uncertainty = out_of_fold_uncertainty(told.residuals, told.fold_of)
        said_of_rows = SaidOfNumbers(told.predictions, uncertainty)
        rows = prediction_rows(model_id, view, said_of_rows, run, TESTED)
        run.counts["predictions"] = store.merge("predictions", rows, replace=True).written
        everything = np.ones(len(view), bool)
        measured: dict[str, Any] = {
            "folds": {
                "train": regression_metrics(view.targets, own),
                "val": regression_metrics(view.targets[:0], own[:0]),
                TESTED: regression_metrics(view.targets, told.predictions),
            }
        }
        if uncertainty is not None:
            measured["coverage"] = coverage(told.residuals, uncertainty, everything)
        metrics = model_metrics(recipe, fitted, measured, seconds, TESTED)
        metrics["cross_validation"] = _described(name, models, told)
        beside = tuple(load_model(store, one).predictor for one in ids)
        fold_of = dict(zip(told.material_ids, map(int, told.fold_of), strict=True))
        together = CrossFitted(fitted.predictor, beside, fold_of)
        row = model_row(
            model_id, view, recipe, seed, metrics, replace(fitted, predictor=together), run
        )
        run.counts["models"] = store.merge_rows("models", [row]).written
    with store.session() as session:
        stored = model_or_none(session, model_id)
    assert stored is not None
    return TrainingResult(stored, True, (*notes, *fitted.notes))


def _of_rows(told: OutOfFold, view: TrainingView, name: str) -> OutOfFold:
    """The out-of-fold predictions in the order of a view's rows."""
    place = {material: row for row, material in enumerate(told.material_ids)}
    lacking = [one for one in view.material_ids if one not in place]
    if lacking:
        raise MissingDataError(
            f"{len(lacking):,} of {len(view):,} materials are in no test fold of {name!r}, the "
            f"first is {lacking[0]!r}: extend it with: featurestore ingest splits --extend {name}"
        )
    order = [place[one] for one in view.material_ids]
    return OutOfFold(
        tuple(view.material_ids), told.targets[order], told.predictions[order], told.fold_of[order]
    )


def _described(name: str, models: tuple[StoredModel, ...], told: OutOfFold) -> dict[str, Any]:
    """What a model's metrics say of the cross-validation."""
    return {
        "split": name,
        "folds": len(models),
        "models": [model.model_id for model in models],
        "assignment": fingerprint(
            dict(zip(told.material_ids, map(int, told.fold_of), strict=True))
        ),
        "mae_of_folds": [model.metrics["folds"]["test"]["mae"] for model in models],
    }


def _notes(
    session: Session, view: TrainingView, folds: Any, name: str, told: OutOfFold
) -> list[str]:
    found = list(view_notes(session, view, folds, is_tested=False))
    structures = view.rows["structure_id"].to_pylist()
    of_structure: dict[str, set[int]] = {}
    for structure, fold in zip(structures, told.fold_of, strict=True):
        of_structure.setdefault(structure, set()).add(int(fold))
    torn = sum(1 for one in of_structure.values() if len(one) > 1)
    if torn:
        found.append(
            f"{torn:,} structures are in several folds of {name!r} under several ids: their errors "
            "are too small. Keep them together with: featurestore ingest splits --folds … "
            "--group-by structure"
        )
    return found


def _limits(told: OutOfFold) -> list[str]:
    """What the number of materials does not allow."""
    n = len(told.targets)
    if n >= FEWEST_ROWS:
        return []
    return [
        f"{n} out-of-fold errors calibrate no 90 % interval, {FEWEST_ROWS} are needed: measure "
        f"{FEWEST_ROWS - n} more materials and add them with featurestore ingest splits --extend"
    ]
