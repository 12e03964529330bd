"""Fusion by attention: it looks where the answer is, and says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
import synthetic_store as toy
from train_silently import Silent

from featurestore.errors import InvalidInputError
from train.predictors.attention.recipe import Attention
from train.predictors.base import Examples
from train.predictors.errors import TrainingError
from train.training import train_model

SEGMENTS = (("structure.told", 0, 3), ("structure.noise", 3, 6), ("text", 6, 9))
SMALL = Attention(members=2, width=16, layers=1, heads=2, max_epochs=30, dropout=0.0)


@pytest.fixture(scope="module")
def rows() -> tuple[Examples, Examples]:
    random = np.random.default_rng(0)
    features = random.normal(size=(300, 9)).astype(np.float32)
    targets = 5 + features[:, :3].sum(axis=1).astype(np.float64)
    return (
        Examples(features[:240], targets[:240], SEGMENTS),
        Examples(features[240:], targets[240:], SEGMENTS),
    )


def test_it_learns_and_attends_to_what_tells(rows):
    train, val = rows
    fitted = SMALL.fit(train, val, 0, Silent())
    errors = np.abs(fitted.predictor.predict(val.features) - val.targets)
    constant = np.abs(np.median(train.targets) - val.targets)
    assert errors.mean() < 0.4 * constant.mean()
    weights = fitted.predictor.attention(val.features)
    assert weights.shape == (60, 3) and np.allclose(weights.sum(axis=1), 1)
    assert fitted.predictor.parts == ["structure.told", "structure.noise", "text"]
    assert fitted.details["attention"] == pytest.approx(
        dict(zip(fitted.predictor.parts, weights.mean(axis=0), strict=True))
    )
    assert fitted.history[-1].val_mae > 0 and fitted.best_epoch >= 1


def test_columns_without_spread_and_parts_without_names(rows):
    flat = [Examples(np.ones_like(one.features), one.targets) for one in rows]
    fitted = Attention(members=1, width=8, heads=2, max_epochs=2).fit(*flat, 0, Silent())
    assert np.ptp(fitted.predictor.predict(flat[1].features)) == 0
    assert fitted.details["attention"] == {"all": 1.0}


def test_what_it_refuses(rows):
    with pytest.raises(InvalidInputError, match="3 heads do not divide a width of 64"):
        Attention(heads=3)
    with pytest.raises(TrainingError, match="diverged"):
        Attention(members=1, width=8, heads=2, learning_rate=1e30).fit(*rows, 0, Silent())


def test_attention_is_kept_with_the_model(tmp_path):
    store = toy.make_store(tmp_path / "store", 40)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure+text"))
    model = train_model(store, view, Attention(members=1, width=8, heads=2, max_epochs=2), 0).model
    kept = store.sql(
        "SELECT metrics->'attention' AS attention FROM models WHERE model_id = ?", [model.model_id]
    )
    attention = json.loads(kept["attention"][0].as_py())
    assert list(attention) == ["structure.all", "text.all"]
    assert sum(attention.values()) == pytest.approx(1)
