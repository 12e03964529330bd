"""The retrain control: what is lost where a model never saw a part of the text.

A model that was trained on full texts meets a text without a part as something new (Hooker et al.,
A benchmark for interpretability methods, NeurIPS 2019). One that is trained without the part tells
how much of its information the rest does not have.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explain.erasing.predictions import Explained
from explain.erasing.rows import view_rows
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views.view import TrainingView, load_view
from train.models import StoredModel
from train.predictors.base import Recipe
from train.predictors.registry import changed_settings, make_recipe
from train.training import train_model


def retrained_errors(
    store: FeatureStore, group: Explained, variant: str
) -> npt.NDArray[np.float64]:
    """Errors of models that were trained, and are tested, on a variant of the texts.

    They are absolute errors; of classes one less the probability of the class that the models which
    are explained predict from the full text.

    Recipe, settings, seeds and folds are those of the models that are explained. The models are
    stored like any other; those that are there are not trained again.

    Returns
    -------
    ndarray, shape (seeds, n), float64
        For the group's materials.

    Raises
    ------
    MissingDataError
        If a material lacks the vector of its text in this variant: `check_vectors` says which.
    """
    with store.session() as session:
        view = _view(session, group, variant)
    errors = []
    for model, places in zip(group.models, group.places, strict=True):
        trained = train_model(store, view, _recipe(model), model.seed).model
        rows = store.sql(
            "SELECT material_id, abs(prediction - target) AS error, probabilities "
            "FROM predictions WHERE model_id = ? AND fold = ?",
            [trained.model_id, group.fold],
        )
        order = pc.index_in(pa.array(group.material_ids), rows["material_id"].combine_chunks())
        if places is None:
            errors.append(rows["error"].take(order).to_numpy())
        else:
            shares = np.array(rows["probabilities"].take(order).to_pylist())
            errors.append(1 - shares[np.arange(len(shares)), places])
    return np.stack(errors)


def _view(session: Session, group: Explained, variant: str) -> TrainingView:
    """The models' own training view, with another variant and the same materials."""
    model = group.models.first
    view = load_view(session, model.parameters.with_variant(group.text.feature, variant))
    rows = session.query(
        "SELECT material_id FROM predictions WHERE model_id = ? ORDER BY material_id",
        [model.model_id],
    )
    view_rows(view, rows["material_id"].to_pylist(), model)
    return view


def _recipe(model: StoredModel) -> Recipe:
    """The recipe with the model's settings."""
    classes = bool(model.parameters.classes)
    changed = changed_settings(model.predictor, model.settings, classes)
    return make_recipe(model.predictor, changed, classes=classes)
