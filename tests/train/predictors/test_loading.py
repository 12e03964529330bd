"""Stored models come back, or say why they do not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from hostile_pickle import Touch
from safetensors.numpy import save
from tiers import few

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.store import FeatureStore
from train.predictors.baselines.constant import Constant
from train.predictors.loading import load_model
from train.predictors.mlp import MLP
from train.predictors.registry import default_settings, recipe_names
from train.training import train_model


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store with two models."""
    store = toy.make_store(tmp_path_factory.mktemp("stores") / "store", 20)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    for recipe in (Constant("mean"), MLP(widths=(8, 8), max_epochs=1)):
        train_model(store, view, recipe, seed=0)
    return store


def _changed(store: FeatureStore, **changes: object) -> str:
    """The id of a copy of the network with other columns."""
    row = store.sql("FROM models WHERE predictor = 'mlp' LIMIT 1").to_pylist()[0]
    model_id = f"changed_{len(store.sql('SELECT model_id FROM models'))}"
    store.merge_rows("models", [row | {"model_id": model_id} | changes])
    return model_id


def test_unknown_and_ambiguous_models(store: FeatureStore) -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'mbj_bandgap_magic'"):
        load_model(store, "mbj_bandgap_magic")
    with pytest.raises(InvalidInputError, match="several models' ids start with"):
        load_model(store, "mbj_bandgap_structure")


@pytest.mark.parametrize("predictor", few(sorted(recipe_names()), 3))
@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"not safetensors",
        save({"of_another_predictor": np.zeros((2, 3), np.float32)}),
        save({"value": np.zeros(0), "n_features": np.zeros(0)}),
    ],
    ids=["empty", "noise", "foreign", "hollow"],
)
def test_damaged_weights_name_their_model(
    store: FeatureStore, predictor: str, weights: bytes
) -> None:
    settings = json.dumps(default_settings(predictor))
    model_id = _changed(store, predictor=predictor, settings=settings, weights=weights)
    with pytest.raises(
        InvalidInputError, match=rf"the weights of model {model_id} \({predictor}\) do not load"
    ):
        load_model(store, model_id)


def test_weights_of_other_widths_are_an_error(store: FeatureStore) -> None:
    model_id = _changed(store, settings=json.dumps({"widths": [32, 32]}))
    with pytest.raises(InvalidInputError, match=f"(?s){model_id} .* do not load: .*size mismatch"):
        load_model(store, model_id)


def test_a_pickle_is_not_loaded(store: FeatureStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    model_id = _changed(store, weights=pickle.dumps(Touch(out)))
    with pytest.raises(InvalidInputError, match="do not load"):
        load_model(store, model_id)
    assert not out.exists()


def test_a_predictor_of_a_later_version_is_named(store: FeatureStore) -> None:
    model_id = _changed(store, predictor="oracle")
    with pytest.raises(InvalidInputError, match=f"{model_id} is a 'oracle', which this version"):
        load_model(store, model_id)
