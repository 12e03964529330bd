"""From a training view to a stored model: fit, predict every fold, write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.catalogue import find_encoder, find_generator
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
from train.metrics import regression_metrics
from train.models import StoredModel, stored_models
from train.predictors.base import Examples, Fitted, Predictor, Recipe, UncertainPredictor
from train.predictors.errors import TrainingError
from train.predictors.registry import identity
from train.predictors.uncertainty import STORED_LEVEL, Uncertainty, coverage
from train.property_inputs import property_input_notes
from train.source_tasks import source_warnings

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
        """fold, n, mae, rmse and r2 of each fold; errors in the property's unit."""
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
    with store.session() as session:
        notes = _notes(session, view, folds)
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
        predictions = fitted.predictor.predict(learned)
        uncertainty = _uncertainty(fitted.predictor, learned)
        if fitted.rehearsed is not None:
            held_out = learned[folds[REHEARSED_FOLD]]
            predictions[folds[REHEARSED_FOLD]] = fitted.rehearsed.predict(held_out)
            of_held_out = _uncertainty(fitted.rehearsed, held_out)
            if uncertainty is not None and of_held_out is not None:
                uncertainty = uncertainty.replaced(folds[REHEARSED_FOLD], of_held_out)
        _check_predictions(view, recipe, predictions)
        rows = _prediction_rows(model_id, view, predictions, uncertainty, run)
        run.counts["predictions"] = store.merge("predictions", rows, replace=True).written
        metrics = _metrics(view, folds, predictions, uncertainty, fitted)
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
    session: Session, view: TrainingView, folds: Mapping[str, npt.NDArray[np.bool_]]
) -> tuple[str, ...]:
    p = view.parameters
    notes = [f"left out: {n} materials without a {what}" for what, n in view.excluded.items()]
    if np.ptp(view.targets[folds["train"]]) == 0:
        notes.append("all training targets are equal: the model can only learn a constant")
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
    return Examples(inputs[rows], view.targets[rows], view.segments)


def _metrics(
    view: TrainingView,
    folds: Mapping[str, npt.NDArray[np.bool_]],
    predictions: npt.NDArray[np.float64],
    uncertainty: Uncertainty | None,
    fitted: Fitted,
) -> dict[str, Any]:
    errors, test = predictions - view.targets, folds["test"]
    covered = {} if uncertainty is None else {"coverage": coverage(errors, uncertainty, test)}
    rehearsed = {} if fitted.rehearsed is None else {"rehearsed_fold": REHEARSED_FOLD}
    return {
        "folds": {
            fold: regression_metrics(view.targets[rows], predictions[rows])
            for fold, rows in folds.items()
        },
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        **covered,
        **rehearsed,
        **({"notes": list(fitted.notes)} if fitted.notes else {}),
        **fitted.details,
    }


def _uncertainty(predictor: Predictor, inputs: npt.NDArray[Any]) -> Uncertainty | None:
    return predictor.uncertainty(inputs) if isinstance(predictor, UncertainPredictor) else None


def _check_predictions(
    view: TrainingView, recipe: Recipe, predictions: npt.NDArray[np.float64]
) -> None:
    finite = np.isfinite(predictions)
    if not finite.all():
        culprit = view.material_ids[int(np.argmin(finite))]
        raise TrainingError(
            f"{recipe.name} predicts no finite number for {int((~finite).sum())} of "
            f"{len(finite)} materials, the first is {culprit!r}; look for outliers among their "
            "vectors"
        )


def _prediction_rows(
    model_id: str,
    view: TrainingView,
    predictions: npt.NDArray[np.float64],
    uncertainty: Uncertainty | None,
    run: Run,
) -> pa.Table:
    n = len(view)
    std = lower = upper = pa.nulls(n, pa.float64())
    if uncertainty is not None:
        half_widths = uncertainty.half_widths[STORED_LEVEL]
        std, lower, upper = uncertainty.std, predictions - half_widths, predictions + half_widths
    return pa.table(
        {
            "model_id": pa.repeat(model_id, n),
            "material_id": view.rows["material_id"],
            "fold": view.rows["fold"],
            "target": view.targets,
            "prediction": predictions,
            "std": std,
            "lower": lower,
            "upper": upper,
            "run_id": pa.repeat(run.run_id, n),
        },
        schema=TABLES["predictions"].schema,
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
