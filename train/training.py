"""From a training view to a stored model: fit, predict every fold, write."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.catalogue import find_encoder, find_generator
from featurestore.classes import shown_unit
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.identity import canonical_json, versioned_id
from featurestore.output.display import Showing, Shown
from featurestore.output.progress import progress_bar
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import TABLES
from featurestore.views.request import COMBINED, FOLDS
from featurestore.views.view import TrainingView
from train.models import StoredModel, stored_models
from train.predictors.base import Examples, Fitted, Recipe
from train.predictors.errors import TrainingError
from train.predictors.registry import classifies, identity
from train.property_inputs import property_input_notes
from train.source_tasks import source_warnings
from train.tasks.base import Said
from train.tasks.choose import task_of

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
    folds = _checked_folds(view)
    task = task_of(view.parameters.unit)
    _check_recipe(view, recipe)
    noted = task.check(view, folds)
    with store.session() as session:
        notes = _notes(session, view, folds, noted)
        model_id = _model_id(session, view, recipe, seed)
        found = _stored(session, model_id)
    if found is not None:
        return TrainingResult(found, False, (*notes, *found.metrics.get("notes", ())))
    arguments = {
        "view": view.parameters.as_dict(),
        "view_fingerprint": view.fingerprint,
        "view_versions": view.versions,
        "settings": recipe.settings,
        "seed": seed,
    }
    learned = recipe.inputs(store, view)
    with store.run(f"train {recipe.name}", arguments) as run:
        start = time.perf_counter()
        with progress_bar(recipe.max_epochs, model_id, "epochs") as progress:
            train, val = (_examples(view, learned, folds[fold]) for fold in ("train", "val"))
            fitted = recipe.fit(train, val, seed, progress)
        seconds = time.perf_counter() - start
        said = task.said(fitted.predictor, learned)
        if fitted.rehearsed is not None:
            held_out = folds[REHEARSED_FOLD]
            said = said.replaced(held_out, task.said(fitted.rehearsed, learned[held_out]))
        _check_finite(view, recipe, said)
        rows = _prediction_rows(model_id, view, said, run)
        run.counts["predictions"] = store.merge("predictions", rows, replace=True).written
        metrics = task.metrics(view.targets, said, folds) | _of_fit(fitted)
        metrics["seconds"] = round(seconds, 3)
        if "part" in (declared := identity(recipe)):
            metrics["part"] = declared["part"]
        row = _model_row(model_id, view, recipe, seed, metrics, fitted, run)
        run.counts["models"] = store.merge_rows("models", [row]).written
    with store.session() as session:
        stored = _stored(session, model_id)
    assert stored is not None
    return TrainingResult(stored, True, (*notes, *fitted.notes))


def _checked_folds(view: TrainingView) -> dict[str, npt.NDArray[np.bool_]]:
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


def _notes(
    session: Session,
    view: TrainingView,
    folds: Mapping[str, npt.NDArray[np.bool_]],
    of_targets: Sequence[str],
) -> tuple[str, ...]:
    p = view.parameters
    notes = [f"left out: {n} materials without a {what}" for what, n in view.excluded.items()]
    notes += of_targets
    if not folds["test"].any():
        notes.append("the test fold is empty: there is no test error")
    read = dict.fromkeys((feature.encoder_id, feature.kind) for feature in p.vectors)
    notes += source_warnings([find_encoder(session, *one) for one in read], p.property)
    notes += property_input_notes(view, folds["train"])
    return tuple(notes)


def _model_id(session: Session, view: TrainingView, recipe: Recipe, seed: int) -> str:
    p = view.parameters
    features = p.features
    if features == COMBINED and p.feature_set is not None:
        features = p.feature_set.partition("@")[0]
    if p.generator_id is not None:
        features = features.replace("text", find_generator(session, p.generator_id).source)
    return versioned_id(
        f"{p.property} {features}",
        {
            "view": view.fingerprint,
            **identity(recipe),
            "seed": seed,
        },
    )


def _stored(session: Session, model_id: str) -> StoredModel | None:
    found = [model for model in stored_models(session) if model.model_id == model_id]
    return found[0] if found else None


def _examples(
    view: TrainingView, inputs: npt.NDArray[Any], rows: npt.NDArray[np.bool_]
) -> Examples:
    n_classes = len(view.parameters.classes)
    return Examples(inputs[rows], view.targets[rows], view.segments, n_classes)


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


def _of_fit(fitted: Fitted) -> dict[str, Any]:
    """What the metrics say about the training."""
    rehearsed = {} if fitted.rehearsed is None else {"rehearsed_fold": REHEARSED_FOLD}
    return {
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        **rehearsed,
        **({"notes": list(fitted.notes)} if fitted.notes else {}),
        **fitted.details,
    }


def _check_finite(view: TrainingView, recipe: Recipe, said: Said) -> None:
    finite = said.finite()
    if not finite.all():
        culprit = view.material_ids[int(np.argmin(finite))]
        raise TrainingError(
            f"{recipe.name} predicts no finite number for {int((~finite).sum())} of "
            f"{len(finite)} materials, the first is {culprit!r}; look for outliers among their "
            "vectors"
        )


def _prediction_rows(model_id: str, view: TrainingView, said: Said, run: Run) -> pa.Table:
    schema, n = TABLES["predictions"].schema, len(view)
    columns = {
        "model_id": pa.repeat(model_id, n),
        "material_id": view.rows["material_id"],
        "fold": view.rows["fold"],
        "target": view.targets,
        "run_id": pa.repeat(run.run_id, n),
        **said.columns(),
    }
    return pa.table(
        {f.name: columns.get(f.name, pa.nulls(n, f.type)) for f in schema}, schema=schema
    )


def _model_row(
    model_id: str,
    view: TrainingView,
    recipe: Recipe,
    seed: int,
    metrics: Mapping[str, Any],
    fitted: Fitted,
    run: Run,
) -> dict[str, Any]:
    p, parameters = view.parameters, view.parameters.as_dict()
    columns = TABLES["models"].schema.names
    return {name: value for name, value in parameters.items() if name in columns} | {
        "model_id": model_id,
        "predictor": recipe.name,
        "seed": seed,
        "settings": canonical_json(recipe.settings),
        "view_parameters": canonical_json(parameters),
        "view_where": p.where,
        "view_sql": view.sql,
        "view_fingerprint": view.fingerprint,
        "metrics": canonical_json(metrics),
        "history": [vars(epoch) for epoch in fitted.history],
        "weights": fitted.predictor.to_bytes(),
        "created_at": datetime.now(UTC),
        "run_id": run.run_id,
    }
