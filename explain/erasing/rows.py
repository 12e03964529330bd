"""What models that differ only by their seed have learned from and predicted, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from explain.erasing.outputs import output_columns, output_unit, outputs, places_of
from featurestore.catalogue import find_encoder
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views.view import Block, TrainingView, load_view
from train.models import SeedGroup, StoredModel, find_model, seed_groups, stored_models
from train.predictors.loading import LoadedModel, load_model

# A prediction may differ from the stored one by what float32 sums do in another order.
_FLOAT_NOISE = 1e-3


@dataclass(frozen=True, eq=False)
class StoredPredictions:
    """The predictions that were stored when the models were trained.

    Parameters
    ----------
    material_ids, folds : tuple of str
        Of the n rows, in order of the material.
    targets : ndarray, shape (n,), float64
        In the unit of the property; see `explain.erasing.outputs` for one of classes.
    predictions : ndarray, shape (seeds, n), float64
        In the order of the models.
    places : tuple of (tuple of int or None)
        For each model the classes it predicts; None for a property of numbers.
    """

    material_ids: tuple[str, ...]
    folds: tuple[str, ...]
    targets: npt.NDArray[np.float64] = field(repr=False)
    predictions: npt.NDArray[np.float64] = field(repr=False)
    places: tuple[tuple[int, ...] | None, ...] = field(repr=False)

    def in_fold(self, fold: str) -> npt.NDArray[np.bool_]:
        """Which rows are in the fold: shape (n,), bool."""
        return np.array([name == fold for name in self.folds], dtype=bool)

    @property
    def mean_predictions(self) -> npt.NDArray[np.float64]:
        """Means over the seeds: shape (n,)."""
        return np.asarray(self.predictions.mean(axis=0))

    @property
    def errors(self) -> npt.NDArray[np.float64]:
        """Absolute errors, averaged over the seeds: shape (n,)."""
        return np.asarray(np.abs(self.predictions - self.targets).mean(axis=0))


@dataclass(frozen=True, eq=False)
class ExplainedRows:
    """The rows with their features, on which the models have been seen to work as they did.

    Parameters
    ----------
    models : tuple of LoadedModel
        In order of the seed.
    stored : StoredPredictions
        The n rows.
    text_ids : tuple of str
        The text of each row; empty strings for models without text.
    features : ndarray, shape (n, width), float32
        As in the models' view.
    blocks : tuple of Block
        Which columns belong to which feature.
    """

    models: tuple[LoadedModel, ...]
    stored: StoredPredictions
    text_ids: tuple[str, ...]
    features: npt.NDArray[np.float32] = field(repr=False)
    blocks: tuple[Block, ...]


def seed_siblings(session: Session, name: str) -> SeedGroup:
    """The model of this name and all that differ from it only by their seed, in its order.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If there is no such model, or several.
    """
    model = find_model(session, name)
    known = stored_models(session, model.parameters.property, model.parameters.split)
    return next(group for group in seed_groups(known) if model in group)


def stored_predictions(session: Session, models: Sequence[StoredModel]) -> StoredPredictions:
    """Read the predictions of models that differ only by their seed."""
    rows = session.query(
        f"SELECT model_id, material_id, fold, {output_columns()} FROM predictions "
        "WHERE list_contains(?, model_id) ORDER BY model_id, material_id",
        [[model.model_id for model in models]],
    )
    tables = [rows.filter(pc.equal(rows["model_id"], model.model_id)) for model in models]
    return StoredPredictions(
        tuple(tables[0]["material_id"].to_pylist()),
        tuple(tables[0]["fold"].to_pylist()),
        tables[0]["target"].to_numpy(),
        np.stack([table["prediction"].to_numpy() for table in tables]),
        tuple(
            places_of(model, table["place"].to_pylist())
            for model, table in zip(models, tables, strict=True)
        ),
    )


def explained_rows(
    store: FeatureStore, session: Session, models: Sequence[StoredModel]
) -> ExplainedRows:
    """Read the features of every row that the models have a stored prediction for.

    Raises
    ------
    UnknownNameError
        If an encoder of the models is gone.
    MissingDataError
        If vectors of some of the rows are gone.
    InvalidInputError
        If the models no longer give their stored predictions.
    """
    first, p = models[0], models[0].parameters
    check_encoders(session, first)
    stored = stored_predictions(session, models)
    view = load_view(session, p)
    positions = view_rows(view, stored.material_ids, first)
    features = view.features[positions]
    texts = view.rows["text_id"].take(positions).to_pylist()
    loaded = tuple(load_model(store, model.model_id) for model in models)
    own = ~stored.in_fold(first.rehearsed_fold or "")
    for model, predictions, places in zip(loaded, stored.predictions, stored.places, strict=True):
        again = outputs(model, features[own], chosen_places(places, own))
        check_reproduced(model, again, predictions[own])
    return ExplainedRows(
        models=loaded,
        stored=stored,
        text_ids=tuple(text or "" for text in texts),
        features=features,
        blocks=view.blocks,
    )


def view_rows(
    view: TrainingView, material_ids: Sequence[str], model: StoredModel
) -> npt.NDArray[np.int64]:
    """Where the materials of a model are in a view: int64 of shape (n,).

    Raises
    ------
    MissingDataError
        If some are no longer there.
    """
    place = {material_id: i for i, material_id in enumerate(view.material_ids)}
    lost = [material_id for material_id in material_ids if material_id not in place]
    if lost:
        raise MissingDataError(
            f"{len(lost)} of the {len(material_ids)} materials of model {model.model_id} "
            f"lack a vector, a text or a target now, the first is {lost[0]!r}; see what is "
            "missing with: featurestore verify"
        )
    return np.array([place[material_id] for material_id in material_ids], dtype=np.int64)


def chosen_places(places: Sequence[int] | None, chosen: npt.NDArray[np.bool_]) -> list[int] | None:
    """The places of the chosen rows; None stays None."""
    if places is None:
        return None
    return [place for place, there in zip(places, chosen, strict=True) if there]


def check_fold(model: StoredModel, fold: str) -> None:
    """Raise unless the stored predictions of the fold are the model's own.

    Raises
    ------
    InvalidInputError
        If they are of its rehearsal: the model has learned from the fold.
    """
    if fold == model.rehearsed_fold and model.cross_validation:
        raise InvalidInputError(
            f"model {model.model_id} has learned from all its materials; analyse one of its "
            f"cross-validation, as {model.cross_validation['models'][0]}"
        )
    if fold == model.rehearsed_fold:
        raise InvalidInputError(
            f"model {model.model_id} has learned from its fold {fold!r} after a rehearsal without "
            "it, whose predictions the store has; analyse the fold 'test', or train with: "
            f"featurestore train benchmark --set {model.predictor}.learn_from_{fold}=false"
        )


def check_encoders(session: Session, model: StoredModel) -> None:
    """Raise unless the store knows the model's encoders.

    Raises
    ------
    UnknownNameError
        If one is gone.
    """
    for feature in model.parameters.vectors:
        find_encoder(session, feature.encoder_id, feature.kind)


def check_reproduced(
    model: LoadedModel,
    predictions: npt.NDArray[np.float64],
    stored: npt.NDArray[np.float64],
) -> None:
    """Raise unless predictions, shape (n,), are those that were stored, but for float noise.

    Raises
    ------
    InvalidInputError
        If they differ: the vectors or texts in the store are no longer the same.
    """
    scale = max(float(np.max(np.abs(stored))), 1e-6)
    worst = float(np.max(np.abs(predictions - stored)))
    if worst > _FLOAT_NOISE * scale:
        raise InvalidInputError(
            f"model {model.model_id} no longer gives its stored predictions (off by up to "
            f"{worst:.3g} {output_unit(model.stored)}): the vectors or texts in the store have "
            "changed since it was trained; train it again"
        )
