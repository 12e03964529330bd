"""Stores written before predictions had an uncertainty."""

from __future__ import annotations

from pathlib import Path

import lance
import pytest
import synthetic_store as toy

from featurestore.store import FeatureStore
from train.predictors.ensemble.recipe import Ensemble
from train.predictors.mlp import MLP
from train.training import train_model

LATER = ("std", "lower", "upper")


@pytest.fixture
def old_store(tmp_path: Path) -> FeatureStore:
    """A store with a model's predictions, in a table without the later columns."""
    store = toy.make_store(tmp_path / "store", 100)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    train_model(store, view, MLP(widths=(8,), max_epochs=2, patience=1), seed=0)
    lance.dataset(f"{store.uri}/predictions.lance").drop_columns(list(LATER))
    return store


def _names(store: FeatureStore) -> list[str]:
    return list(lance.dataset(f"{store.uri}/predictions.lance").schema.names)


def test_an_old_table_is_read_with_nulls(old_store: FeatureStore) -> None:
    assert not set(LATER) & set(_names(old_store))
    rows = old_store.sql("SELECT count(*) AS n, count(std) AS known FROM predictions")
    assert rows.to_pylist() == [{"n": 100, "known": 0}]
    assert not set(LATER) & set(_names(old_store))


def test_new_predictions_add_the_columns(old_store: FeatureStore) -> None:
    view = old_store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    recipe = Ensemble(members=2, width=8, epochs=1, batch_size=32)
    new = train_model(old_store, view, recipe, seed=0).model.model_id
    assert set(LATER) <= set(_names(old_store))
    rows = old_store.sql(
        "SELECT model_id = ? AS is_new, count(*) AS n, count(std) AS std, count(lower) AS lower, "
        "count(upper) AS upper, count(prediction) AS predicted FROM predictions "
        "GROUP BY ALL ORDER BY is_new",
        [new],
    ).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (False, 100, 0, 0, 0, 100),
        (True, 100, 100, 100, 100, 100),
    ]
