"""Models that learned from the validation fold, whose stored predictions are of a rehearsal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic_store as toy

from explain.segments.analysis import segment_effects
from explain.tags.analysis import TagAnalysis, tag_effects
from explain.words.analysis import word_effects
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from train.models import StoredModel
from train.predictors.ensemble.recipe import Ensemble
from train.training import train_model

RECIPE = Ensemble(members=2, depth=1, width=8, epochs=2, batch_size=32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("stores") / "store", 60)


@pytest.fixture(scope="module")
def model(store: FeatureStore) -> StoredModel:
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure+text"))
    return train_model(store, view, RECIPE, seed=0).model


def test_the_test_fold_is_explained(store: FeatureStore, model: StoredModel) -> None:
    (result,) = segment_effects(store, [model], fold="test")
    assert result.n == 12


def test_the_validation_fold_is_refused(store: FeatureStore, model: StoredModel) -> None:
    refused = r"has learned from its fold 'val'.*--set ensemble.learn_from_val=false"
    with pytest.raises(InvalidInputError, match=refused):
        segment_effects(store, [model], fold="val")
    with pytest.raises(InvalidInputError, match=refused):
        tag_effects(store, [model], TagAnalysis("val"))
    validation = store.sql("SELECT material_id FROM predictions WHERE fold = 'val' LIMIT 1")
    with pytest.raises(InvalidInputError, match=refused):
        word_effects(store, [model], validation["material_id"][0].as_py(), ["sentence"], "drop")


def test_it_is_explained_where_the_model_kept_it_out(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 60)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure+text"))
    recipe = replace(RECIPE, learn_from_val=False)
    model = train_model(store, view, recipe, seed=0).model
    assert model.rehearsed_fold is None
    (result,) = segment_effects(store, [model], fold="val")
    assert result.n == 12
