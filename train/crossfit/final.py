"""The model of all rows: its error is the cross-validated one, its intervals or sets CV+'s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.identity import fingerprint
from featurestore.session import Session
from featurestore.splits import cross_validation, left_out
from featurestore.store import FeatureStore
from featurestore.views.request import FOLDS, ViewRequest
from featurestore.views.view import TrainingView
from train.crossfit.fold_models import OutOfFold, cross_validate, out_of_fold
from train.crossfit.predictor import cross_fitted
from train.crossfit.whole import whole_split
from train.forecasts.calibration import FEWEST_ROWS
from train.model_rows import (
    check_predictions,
    model_metrics,
    model_row,
    new_model_id,
    prediction_rows,
)
from train.models import StoredModel
from train.predictors.base import Recipe
from train.predictors.classes.classifier import TOO_FEW_ROWS as TOO_FEW_ROWS_OF_CLASSES
from train.predictors.loading import load_model
from train.predictors.uncertainty import TOO_FEW_ROWS
from train.tasks.choose import task_of
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
#: Notes on validation folds, which calibrate nothing here.
_TOO_FEW = (TOO_FEW_ROWS, TOO_FEW_ROWS_OF_CLASSES)


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
    kept in its weights: by them `predict` makes intervals, or sets of classes. Predictors that stop
    by validation rows, and do not learn from these afterwards, stop by some of the rows here, too.

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
        If there is no such cross-validation, or the view cannot be learned from.
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
    with store.session() as session:
        if left_out(session, name, request.property):
            raise InvalidInputError(
                f"{name!r} are splits that each leave something out; a model of all rows needs a "
                "cross-validation, which tests on each material once: featurestore ingest splits "
                "--folds 5"
            )
        cross_validation(session, name, request.property)

    def of_fold(note: str) -> None:
        if note not in _TOO_FEW:  # all calibrate
            said(note)

    models = cross_validate(store, request, recipe, seed, jobs=jobs, said=of_fold).models
    split = whole_split(store, name, request.property)
    view = store.view(replace(request, split=split))
    folds, task = checked_folds(view), task_of(view.parameters.unit)
    with store.session() as session:
        known = _of_rows(out_of_fold(session, models), view, name)
        notes = [*_notes(session, view, folds, name, known.fold_of), *_limits(len(view))]
        ids = [model.model_id for model in models]
        model_id = new_model_id(session, view, recipe, seed, ids)
        found = model_or_none(session, model_id)
    if found is not None:
        return TrainingResult(found, False, tuple(notes))
    learned = recipe.inputs(store, view)
    arguments = run_arguments(view, recipe, seed) | {"of_folds": ids}
    with store.run(f"train final {recipe.name}", arguments) as run:
        fitted, seconds = timed_fit(recipe, view, learned, folds, seed, model_id)
        fitted = replace(fitted, notes=tuple(n for n in fitted.notes if n not in _TOO_FEW))
        own = task.said(fitted.predictor, learned)
        check_predictions(view, recipe, own)
        told = task.said_out_of_fold(known.rows, known.fold_of)
        rows = prediction_rows(model_id, view, told, run, TESTED)
        run.counts["predictions"] = store.merge("predictions", rows, replace=True).written
        measured = task.metrics(view.targets, told, _all_in(view, TESTED))
        learned_from = task.metrics(view.targets, own, _all_in(view, "train"))
        measured["folds"]["train"] = learned_from["folds"]["train"]
        metrics = model_metrics(recipe, fitted, measured, seconds, TESTED)
        metrics["cross_validation"] = _described(name, models, known)
        beside = tuple(load_model(store, one).predictor for one in ids)
        fold_of = dict(zip(known.material_ids, map(int, known.fold_of), strict=True))
        together = cross_fitted(fitted.predictor, beside, fold_of)
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
    return OutOfFold(tuple(told.rows[row] for row in order), told.fold_of[order])


def _all_in(view: TrainingView, fold: str) -> dict[str, npt.NDArray[np.bool_]]:
    """The rows of each fold, all being in one."""
    return {one: np.full(len(view), one == fold) for one in FOLDS}


def _described(name: str, models: tuple[StoredModel, ...], told: OutOfFold) -> dict[str, Any]:
    """What a model's metrics say of the cross-validation."""
    error = models[0].task.error
    return {
        "split": name,
        "folds": len(models),
        "models": [model.model_id for model in models],
        "assignment": fingerprint(
            dict(zip(told.material_ids, map(int, told.fold_of), strict=True))
        ),
        f"{error}_of_folds": [model.metrics["folds"]["test"][error] for model in models],
    }


def _notes(
    session: Session,
    view: TrainingView,
    folds: Mapping[str, npt.NDArray[np.bool_]],
    name: str,
    fold_of: npt.NDArray[np.int64],
) -> list[str]:
    found = list(view_notes(session, view, folds, is_tested=False))
    structures = view.rows["structure_id"].to_pylist()
    of_structure: dict[str, set[int]] = {}
    for structure, fold in zip(structures, fold_of, strict=True):
        of_structure.setdefault(structure, set()).add(int(fold))
    torn = sum(1 for one in of_structure.values() if len(one) > 1)
    if torn:
        found.append(
            f"{torn:,} structures are in several folds of {name!r} under several ids: their errors "
            "are too small. Keep them together with: featurestore ingest splits --folds … "
            "--group-by structure"
        )
    return found


def _limits(n: int) -> list[str]:
    """What the number of materials does not allow."""
    if n >= FEWEST_ROWS:
        return []
    return [
        f"{n} out-of-fold errors calibrate nothing to 90 %, {FEWEST_ROWS} are needed: measure "
        f"{FEWEST_ROWS - n} more materials and add them with featurestore ingest splits --extend"
    ]
