"""A trained model as rows of the store: its id, its predictions and itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.catalogue import find_generator
from featurestore.identity import canonical_json, versioned_id
from featurestore.session import Session
from featurestore.tables.runs import Run
from featurestore.tables.schemas import TABLES
from featurestore.views.request import COMBINED
from featurestore.views.view import TrainingView
from train.predictors.base import Fitted, Recipe
from train.predictors.errors import TrainingError
from train.predictors.registry import identity
from train.tasks.base import Said


def new_model_id(
    session: Session,
    view: TrainingView,
    recipe: Recipe,
    seed: int,
    of_folds: Sequence[str] = (),
) -> str:
    """The id of the model that a recipe makes of a view and a seed.

    Parameters
    ----------
    of_folds : sequence of str
        Ids of the models of a cross-validation that it has beside it.
    """
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
            **({"of_folds": list(of_folds)} if of_folds else {}),
        },
    )


def check_predictions(view: TrainingView, recipe: Recipe, said: Said) -> None:
    """Raise unless what is said of a view's rows is finite.

    Raises
    ------
    TrainingError
        Names the first material of which it is not.
    """
    finite = said.finite()
    if not finite.all():
        culprit = view.material_ids[int(np.argmin(finite))]
        raise TrainingError(
            f"{recipe.name} predicts no finite number for {int((~finite).sum())} of "
            f"{len(finite)} materials, the first is {culprit!r}; look for outliers among their "
            "vectors"
        )


def model_metrics(
    recipe: Recipe,
    fitted: Fitted,
    measured: Mapping[str, Any],
    seconds: float,
    rehearsed_fold: str | None,
) -> dict[str, Any]:
    """What `StoredModel.metrics` holds.

    Parameters
    ----------
    measured : mapping
        What `train.tasks.base.Task.metrics` gives: ``folds``, and what is told of the test fold
        beside.
    rehearsed_fold : str, optional
        The fold whose stored predictions are of models that did not learn from it.
    """
    declared = identity(recipe)
    return {
        **measured,
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        **({} if rehearsed_fold is None else {"rehearsed_fold": rehearsed_fold}),
        **({"notes": list(fitted.notes)} if fitted.notes else {}),
        **fitted.details,
        "seconds": round(seconds, 3),
        **({"part": declared["part"]} if "part" in declared else {}),
    }


def prediction_rows(
    model_id: str, view: TrainingView, said: Said, run: Run, fold: str | None = None
) -> pa.Table:
    """Rows of ``predictions`` for a view's rows, in its folds or all in one."""
    schema, n = TABLES["predictions"].schema, len(view)
    columns = {
        "model_id": pa.repeat(model_id, n),
        "material_id": view.rows["material_id"],
        "fold": view.rows["fold"] if fold is None else pa.repeat(fold, n),
        "target": view.targets,
        "run_id": pa.repeat(run.run_id, n),
        **said.columns(),
    }
    return pa.table(
        {f.name: columns.get(f.name, pa.nulls(n, f.type)) for f in schema}, schema=schema
    )


def model_row(
    model_id: str,
    view: TrainingView,
    recipe: Recipe,
    seed: int,
    metrics: Mapping[str, Any],
    fitted: Fitted,
    run: Run,
) -> dict[str, Any]:
    """The row of ``models``."""
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
