"""From a training view to a stored model: fit, predict every fold, write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.catalogue import find_encoder
from featurestore.classes import shown_unit
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.output.display import Showing, Shown
from featurestore.output.progress import progress_bar
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views.request import FOLDS
from featurestore.views.view import TrainingView
from train.model_rows import (
    check_predictions,
    model_metrics,
    model_row,
    new_model_id,
    prediction_rows,
)
from train.models import StoredModel, stored_models
from train.predictors.base import Examples, Fitted, Recipe
from train.predictors.registry import classifies
from train.property_inputs import property_input_notes
from train.source_tasks import source_warnings
from train.tasks.choose import task_of
from train.threads import threads_for

#: Of a model that rehearses, the fold that the rehearsal leaves out and the training does not.
REHEARSED_FOLD = "val"


@dataclass(frozen=True, repr=False)
class TrainingResult(Shown):
    """What came of a request to train.

    Parameters
    ----------
    model : StoredModel
        The model, new or found.
    trained : bool
        False if the store had the model already, so that nothing was done.
    notes : tuple of str
        What a reader of the numbers should know about the view and the training.
    """

    model: StoredModel
    trained: bool
    notes: tuple[str, ...]

    @property
    def table(self) -> pa.Table:
        """fold, n and the metrics of each fold; errors of numbers in the property's unit."""
        return self.model.folds_table

    def showing(self) -> Showing:
        """The model and its errors."""
        return replace(self.model.showing(), notes=self.notes)


def train_model(
    store: FeatureStore, view: TrainingView, recipe: Recipe, seed: int
) -> TrainingResult:
    """Train on a view and store the model and its predictions for every fold.

    The predictions are written first and the model last: a model that can be seen is complete,
    and what a killed run leaves is replaced when the command is run again.

    Parameters
    ----------
    store : FeatureStore
        Where the results go.
    view : TrainingView
        With folds.
    recipe : Recipe
        How to train, and what it learns from: the view's features or other inputs.
    seed : int
        Of everything random.

    Raises
    ------
    MissingDataError
        If a fold lacks the rows to train or to stop by.
    InvalidInputError
        If a feature or target is not finite, or the view has no folds.
    TrainingError
        If the training diverges, or a prediction is no finite number.
    """
    folds = checked_folds(view)
    task = task_of(view.parameters.unit)
    _check_recipe(view, recipe)
    with store.session() as session:
        notes = view_notes(session, view, folds)
        model_id = new_model_id(session, view, recipe, seed)
        found = model_or_none(session, model_id)
    if found is not None:
        return TrainingResult(found, False, (*notes, *found.metrics.get("notes", ())))
    learned = recipe.inputs(store, view)
    with store.run(f"train {recipe.name}", run_arguments(view, recipe, seed)) as run:
        fitted, seconds = timed_fit(recipe, view, learned, folds, seed, model_id)
        said = task.said(fitted.predictor, learned)
        if fitted.rehearsed is not None:
            held_out = folds[REHEARSED_FOLD]
            said = said.replaced(held_out, task.said(fitted.rehearsed, learned[held_out]))
        check_predictions(view, recipe, said)
        rows = prediction_rows(model_id, view, said, run)
        run.counts["predictions"] = store.merge("predictions", rows, replace=True).written
        measured = task.metrics(view.targets, said, folds)
        rehearsed_fold = None if fitted.rehearsed is None else REHEARSED_FOLD
        metrics = model_metrics(recipe, fitted, measured, seconds, rehearsed_fold)
        row = model_row(model_id, view, recipe, seed, metrics, fitted, run)
        run.counts["models"] = store.merge_rows("models", [row]).written
    with store.session() as session:
        stored = model_or_none(session, model_id)
    assert stored is not None
    return TrainingResult(stored, True, (*notes, *fitted.notes))


def checked_folds(view: TrainingView) -> dict[str, npt.NDArray[np.bool_]]:
    """The rows of each fold, after checking that there is something to learn from."""
    p = view.parameters
    if p.split is None:
        raise InvalidInputError("training needs folds: name a split with --split")
    folds = {fold: view.in_fold(fold) for fold in FOLDS}
    counts = {fold: int(rows.sum()) for fold, rows in folds.items()}
    if counts["train"] < 2 or counts["val"] < 1:
        lacking = ", ".join(f"{n} lack a {what}" for what, n in view.excluded.items())
        raise MissingDataError(
            f"split {p.split!r} leaves {counts['train']} rows to train on and {counts['val']} to "
            f"stop by for {p.property!r}; at least 2 and 1 are needed"
            + (f" (of its other materials {lacking})" if lacking else "")
        )
    finite = np.isfinite(view.features).all(axis=1) & np.isfinite(view.targets)
    if not finite.all():
        culprit = view.material_ids[int(np.argmin(finite))]
        raise InvalidInputError(
            f"{int((~finite).sum())} rows have a NaN or an infinity in a vector or target, "
            f"the first is material {culprit!r}"
        )
    return folds


def view_notes(
    session: Session,
    view: TrainingView,
    folds: Mapping[str, npt.NDArray[np.bool_]],
    *,
    is_tested: bool = True,
) -> tuple[str, ...]:
    """What a reader should know about the rows; ``is_tested``: whether they are to be tested on.

    Raises
    ------
    InvalidInputError, MissingDataError
        If their targets cannot be learned from.
    """
    p = view.parameters
    notes = [f"left out: {n} materials without a {what}" for what, n in view.excluded.items()]
    notes += task_of(p.unit).check(view, folds)
    if is_tested and not folds["test"].any():
        notes.append("the test fold is empty: there is no test error")
    read = dict.fromkeys((feature.encoder_id, feature.kind) for feature in p.vectors)
    notes += source_warnings([find_encoder(session, *one) for one in read], p.property)
    notes += property_input_notes(view, folds["train"])
    return tuple(notes)


def model_or_none(session: Session, model_id: str) -> StoredModel | None:
    """The stored model with this id."""
    found = [model for model in stored_models(session) if model.model_id == model_id]
    return found[0] if found else None


def run_arguments(view: TrainingView, recipe: Recipe, seed: int) -> dict[str, Any]:
    """What the run of a training records."""
    return {
        "view": view.parameters.as_dict(),
        "view_fingerprint": view.fingerprint,
        "view_versions": view.versions,
        "settings": recipe.settings,
        "seed": seed,
    }


def timed_fit(
    recipe: Recipe,
    view: TrainingView,
    learned: npt.NDArray[Any],
    folds: Mapping[str, npt.NDArray[np.bool_]],
    seed: int,
    label: str,
) -> tuple[Fitted, float]:
    """Fit on the train and val rows of a view, under a progress bar; with the seconds it took."""
    start = time.perf_counter()
    with progress_bar(recipe.max_epochs, label, "epochs") as progress:
        n_classes = len(view.parameters.classes)
        train, val = (
            Examples(learned[folds[fold]], view.targets[folds[fold]], view.segments, n_classes)
            for fold in ("train", "val")
        )
        with threads_for(len(train) + len(val)):
            fitted = recipe.fit(train, val, seed, progress)
    return fitted, time.perf_counter() - start


def _check_recipe(view: TrainingView, recipe: Recipe) -> None:
    """Raise if the recipe learns numbers and the property has classes, or the other way round."""
    p = view.parameters
    if bool(p.classes) != classifies(recipe):
        has = f"has the classes {shown_unit(p.unit)}" if p.classes else f"has numbers in {p.unit}"
        learns = "classes" if classifies(recipe) else "numbers"
        raise InvalidInputError(
            f"{p.property!r} {has}, and this {recipe.name} learns {learns}: "
            f"make_recipe({recipe.name!r}, classes={bool(p.classes)})"
        )
