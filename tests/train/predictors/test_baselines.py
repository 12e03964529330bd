"""The recipes that a learned predictor has to beat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.output.progress import progress_bar
from train.predictors.assignments import parse_benchmark_settings
from train.predictors.base import Examples, Fitted, Recipe
from train.predictors.baselines.boosted_trees import BoostedTrees, Trees
from train.predictors.baselines.constant import Constant, ConstantPredictor
from train.predictors.loading import load_model
from train.predictors.registry import (
    default_settings,
    make_recipe,
    recipe_names,
)
from train.training import train_model


def _examples(n: int, seed: int) -> Examples:
    features = np.random.default_rng(seed).normal(size=(n, 12)).astype(np.float32)
    return Examples(features, (features[:, 0] + np.abs(features[:, 1])).astype(np.float64))


def _fit(recipe: Recipe, train: Examples, val: Examples, seed: int = 0) -> Fitted:
    with progress_bar(None, "test", "steps") as progress:
        return recipe.fit(train, val, seed, progress)


TRAIN, VAL = _examples(300, 0), _examples(100, 1)
SMALL = BoostedTrees(max_epochs=80, patience=20)


@pytest.mark.parametrize(("name", "statistic"), [("mean", np.mean), ("median", np.median)])
def test_a_constant_is_the_statistic_of_the_training_targets(name, statistic) -> None:
    fitted = _fit(make_recipe(name), TRAIN, VAL)
    restored = ConstantPredictor.from_bytes({}, fitted.predictor.to_bytes())
    assert restored == fitted.predictor
    np.testing.assert_array_equal(
        restored.predict(VAL.features), np.full(100, statistic(TRAIN.targets))
    )
    assert fitted.history[0].val_mae == np.abs(VAL.targets - statistic(TRAIN.targets)).mean()


def test_the_median_has_the_least_absolute_error() -> None:
    skewed = Examples(TRAIN.features, np.exp(2 * TRAIN.targets))
    errors = [
        _fit(Constant(name), skewed, skewed).history[0].train_mae for name in ("median", "mean")
    ]
    assert errors[0] < errors[1]


def test_trees_learn_and_predict_as_scikit_learn_does() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    fitted = _fit(SMALL, TRAIN, VAL, seed=3)
    assert (
        fitted.history[fitted.best_epoch - 1].val_mae
        < 0.5 * np.abs(VAL.targets - TRAIN.targets.mean()).mean()
    )
    theirs = HistGradientBoostingRegressor(
        loss=fitted.details["loss"],
        learning_rate=SMALL.learning_rate,
        max_iter=fitted.best_epoch,
        max_leaf_nodes=SMALL.max_leaves,
        min_samples_leaf=SMALL.min_rows_a_leaf,
        max_features=SMALL.share_of_features,
        early_stopping=False,
        random_state=3,
    ).fit(TRAIN.features, TRAIN.targets)
    ours = fitted.predictor.predict(VAL.features)
    np.testing.assert_allclose(ours, theirs.predict(VAL.features), rtol=1e-12)


def test_the_best_trees_are_kept_and_the_error_is_theirs() -> None:
    fitted = _fit(SMALL, TRAIN, VAL)
    best = min(fitted.history, key=lambda epoch: epoch.val_mae)
    assert fitted.best_epoch == best.epoch
    assert len(fitted.predictor.first) == best.epoch
    errors = np.abs(fitted.predictor.predict(VAL.features) - VAL.targets)
    assert errors.mean() == pytest.approx(best.val_mae, rel=1e-12)


def test_trees_learn_although_most_targets_are_zero() -> None:
    """The absolute error's slope is then the same for all rows: no split is better than none."""
    train, val = (
        Examples(rows.features, np.where(rows.features[:, 0] > 0.5, 5.0, 0.0))
        for rows in (TRAIN, VAL)
    )
    assert np.mean(train.targets == 0) > 0.6
    fits = {
        losses: _fit(replace(SMALL, losses=losses), train, val)
        for losses in (("absolute_error",), ("squared_error",), SMALL.losses)
    }
    best = {
        losses: min([np.abs(val.targets).mean(), *(epoch.val_mae for epoch in fitted.history)])
        for losses, fitted in fits.items()
    }
    assert best["absolute_error",] == np.abs(val.targets).mean()
    assert best["squared_error",] < 0.3 * best["absolute_error",]
    assert best[SMALL.losses] == best["squared_error",]
    assert fits[SMALL.losses].details == {"loss": "squared_error"}


@pytest.mark.slow
def test_trees_come_back_from_their_bytes_and_seeds_differ(two_threads: None) -> None:
    fitted = _fit(SMALL, TRAIN, VAL, seed=1)
    weights = fitted.predictor.to_bytes()
    assert _fit(SMALL, TRAIN, VAL, seed=1).predictor.to_bytes() == weights
    assert _fit(SMALL, TRAIN, VAL, seed=2).predictor.to_bytes() != weights
    restored = Trees.from_bytes(SMALL.settings, weights)
    assert restored.n_features == 12
    np.testing.assert_array_equal(
        restored.predict(VAL.features), fitted.predictor.predict(VAL.features)
    )


@pytest.mark.parametrize("n", [2, 3, 300])
def test_too_few_rows_or_constant_targets_give_the_constant(n: int) -> None:
    constant = Examples(TRAIN.features[:n], np.full(n, 7.0))
    fitted = _fit(SMALL, constant, constant)
    assert fitted.best_epoch == 0
    restored = Trees.from_bytes(SMALL.settings, fitted.predictor.to_bytes())
    np.testing.assert_array_equal(restored.predict(VAL.features), np.full(100, 7.0))


def test_they_are_stored_and_loaded_like_any_model(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 60)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    for recipe in (SMALL, Constant("mean")):
        result = train_model(store, view, recipe, seed=0)
        assert result.trained
        stored = store.sql(
            "SELECT prediction FROM predictions WHERE model_id = ? ORDER BY material_id",
            [result.model.model_id],
        )["prediction"].to_numpy()
        model = load_model(store, result.model.model_id)
        np.testing.assert_array_equal(model.predict(view.features), stored)


def test_recipes_by_name_with_settings() -> None:
    assert {"mlp", "gbt", "mean", "median"} <= set(recipe_names())
    recipe = make_recipe("mlp", {"max_epochs": 7, "widths": [8, 4], "learning_rate": 1})
    assert recipe.settings["max_epochs"] == 7
    assert recipe.settings["widths"] == [8, 4]
    assert default_settings("gbt") == BoostedTrees().settings
    assert default_settings("of another version") == {}
    assert parse_benchmark_settings(
        ["mlp.max_epochs=7", "mlp.widths=[8, 4]", "gbt.patience=3"]
    ) == {
        "mlp": {"max_epochs": 7, "widths": (8, 4)},
        "gbt": {"patience": 3},
    }


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("mlpp", {}, UnknownNameError, "did you mean 'mlp'"),
        ("mlp", {"max_epoch": 3}, UnknownNameError, "did you mean 'max_epochs'"),
        (
            "mlp",
            {"max_epochs": "many"},
            InvalidInputError,
            "a whole number of at least 1; got 'many'",
        ),
        ("mlp", {"max_epochs": 0}, InvalidInputError, "a whole number of at least 1; got 0"),
        ("mlp", {"max_epochs": True}, InvalidInputError, "a whole number of at least 1; got True"),
        ("mlp", {"widths": 3}, InvalidInputError, "got 3"),
        ("mean", {"max_epochs": 3}, InvalidInputError, "'mean' takes no settings"),
    ],
)
def test_wrong_recipes_and_settings_are_named(name, changes, error, message) -> None:
    with pytest.raises(error, match=message):
        make_recipe(name, changes)


@pytest.mark.parametrize("assignment", ["mlp", "mlp.max_epochs", "max_epochs=3", "mlp.=3", ""])
def test_wrong_assignments_are_named(assignment: str) -> None:
    with pytest.raises(InvalidInputError, match=r"PREDICTOR\.NAME=VALUE"):
        parse_benchmark_settings([assignment])
    with pytest.raises(UnknownNameError, match="unknown predictor 'nlp'"):
        parse_benchmark_settings(["nlp.max_epochs=3"])
