"""The rows of models that differ only by their seed: their features, as the models know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from featurestore.catalogue import find_encoder
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.views import load_view
from train.models import StoredModel
from train.predictors import LoadedModel, load_model

# A prediction may differ from the stored one by what float32 sums do in another order.
_FLOAT_NOISE = 1e-3


@dataclass(frozen=True, eq=False)
class ExplainedRows:
    """Everything that models of one training view were trained, stopped and tested on.

    Parameters
    ----------
    models : tuple of LoadedModel
        In order of the seed.
    material_ids, folds, text_ids : tuple of str
        Of the n rows, in order of the material; ``text_ids`` are empty strings without a text.
    features : ndarray, shape (n, width), float32
        As in the models' view.
    segments : tuple of (str, int, int)
        Named slices of the features.
    targets : ndarray, shape (n,), float64
        In the unit of the property.
    predictions : ndarray, shape (seeds, n), float64
        Stored when the models were trained.
    """

    models: tuple[LoadedModel, ...]
    material_ids: tuple[str, ...]
    folds: tuple[str, ...]
    text_ids: tuple[str, ...]
    features: npt.NDArray[np.float32] = field(repr=False)
    segments: tuple[tuple[str, int, int], ...]
    targets: npt.NDArray[np.float64] = field(repr=False)
    predictions: npt.NDArray[np.float64] = field(repr=False)

    def in_fold(self, fold: str) -> npt.NDArray[np.bool_]:
        """Which rows are in the fold: shape (n,), bool."""
        return np.array([name == fold for name in self.folds], dtype=bool)


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
    for kind, encoder in (("structure", p.structure_encoder), ("text", p.text_encoder)):
        if encoder is not None:
            find_encoder(session, encoder, kind)
    rows = session.query(
        "SELECT model_id, material_id, fold, target, prediction FROM predictions "
        "WHERE list_contains(?, model_id) ORDER BY model_id, material_id",
        [[model.model_id for model in models]],
    )
    of = {
        model.model_id: rows.filter(pc.equal(rows["model_id"], model.model_id)) for model in models
    }
    ids = of[first.model_id]["material_id"].combine_chunks()
    view = load_view(session, p)
    positions = pc.index_in(ids, view.rows["material_id"].combine_chunks())
    if positions.null_count:
        lost = ids.filter(pc.is_null(positions))
        raise MissingDataError(
            f"{positions.null_count} of the {len(ids)} materials of model {first.model_id} lack a "
            f"vector, a text or a target now, the first is {lost[0].as_py()!r}; see what is "
            "missing with: featurestore verify"
        )
    features = view.features[positions.to_numpy()]
    texts = view.rows["text_id"].take(positions).to_pylist()
    loaded = tuple(load_model(store, model.model_id) for model in models)
    stored = np.stack([of[model.model_id]["prediction"].to_numpy() for model in models])
    for model, predictions in zip(loaded, stored, strict=True):
        check_reproduced(model, model.predict(features), predictions)
    return ExplainedRows(
        loaded,
        tuple(ids.to_pylist()),
        tuple(of[first.model_id]["fold"].to_pylist()),
        tuple(text or "" for text in texts),
        features,
        view.segments,
        of[first.model_id]["target"].to_numpy(),
        stored,
    )


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
            f"{worst:.3g} {model.parameters.unit}): the vectors or texts in the store have "
            "changed since it was trained; train it again"
        )
