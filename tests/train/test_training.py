from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import synthetic_store as toy

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.store import FeatureStore
from featurestore.views.view import TrainingView
from train import training
from train.models import stored_weights
from train.predictors.errors import TrainingError
from train.predictors.loading import load_model
from train.predictors.mlp import MLP, MLPPredictor
from train.predictors.registry import make_recipe
from train.training import train_model

SMALL = MLP(widths=(32, 32, 16), learning_rate=3e-3, max_epochs=120, patience=40)
QUICK = replace(SMALL, max_epochs=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("stores") / "store", 200)


def _view(store: FeatureStore, features: str = "structure+text") -> TrainingView:
    return store.training_view(toy.PROPERTY, **toy.view_request(features))


def test_it_learns_and_stores_everything(store: FeatureStore) -> None:
    view = _view(store)
    result = train_model(store, view, SMALL, seed=0)
    assert result.trained
    folds = result.model.metrics["folds"]
    assert [folds[fold]["n"] for fold in ("train", "val", "test")] == [120, 40, 40]
    assert folds["test"]["r2"] > 0.95
    rows = store.sql(
        "SELECT fold, count(*) AS n, avg(abs(prediction - target)) AS mae FROM predictions "
        "WHERE model_id = ? GROUP BY fold",
        [result.model.model_id],
    ).to_pylist()
    assert {row["fold"]: row["n"] for row in rows} == {"train": 120, "val": 40, "test": 40}
    for row in rows:
        assert row["mae"] == pytest.approx(folds[row["fold"]]["mae"], rel=1e-9)
    stored = store.sql(
        "SELECT * EXCLUDE weights, length(history) AS epochs FROM models WHERE model_id = ?",
        [result.model.model_id],
    ).to_pylist()[0]
    assert stored["view_fingerprint"] == view.fingerprint
    assert stored["view_sql"] == view.sql
    assert stored["epochs"] == result.model.metrics["epochs"] == len(stored["history"])
    best = min(stored["history"], key=lambda epoch: epoch["val_mae"])
    assert best["epoch"] == result.model.metrics["best_epoch"]
    assert best["val_mae"] == pytest.approx(folds["val"]["mae"], rel=1e-6)
    run = store.sql("SELECT status, counts FROM runs WHERE run_id = ?", [stored["run_id"]])
    assert run.to_pylist() == [{"status": "finished", "counts": '{"models":1,"predictions":200}'}]


def test_the_same_again_trains_nothing_and_the_id_tells_changes(store: FeatureStore) -> None:
    view = _view(store, "structure")
    first = train_model(store, view, QUICK, seed=0)
    runs = store.sql("SELECT count(*) AS n FROM runs")["n"][0].as_py()
    again = train_model(store, _view(store, "structure"), QUICK, seed=0)
    assert (first.trained, again.trained) == (True, False)
    assert again.model == first.model
    assert store.sql("SELECT count(*) AS n FROM runs")["n"][0].as_py() == runs
    others = [
        train_model(store, view, QUICK, seed=1),
        train_model(store, view, replace(QUICK, max_epochs=3), seed=0),
        train_model(store, _view(store, "text"), QUICK, seed=0),
    ]
    ids = {first.model.model_id, *(other.model.model_id for other in others)}
    assert len(ids) == 4


def test_the_same_command_gives_the_same_bytes(tmp_path: Path, two_threads: None) -> None:
    found = []
    for name in ("one", "two"):
        store = toy.make_store(tmp_path / name, 60)
        result = train_model(store, _view(store), replace(SMALL, max_epochs=5), seed=7)
        predictions = store.sql(
            "SELECT * EXCLUDE run_id FROM predictions ORDER BY material_id"
        ).to_pylist()
        with store.session() as session:
            weights = stored_weights(session, result.model.model_id)
        found.append((result.model.model_id, weights, predictions))
    assert found[0] == found[1]


def test_a_killed_run_leaves_no_model_and_the_next_one_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = toy.make_store(tmp_path / "store", 60)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "model_row", die)
        # what the killed run leaves is off, as after a run with other threads
        patched.setattr(MLPPredictor, "predict", lambda *_: np.zeros(60))
        with pytest.raises(KeyboardInterrupt):
            train_model(store, _view(store), QUICK, seed=0)
    assert "models" not in store.tables()
    assert store.sql("SELECT count(*) AS n FROM predictions")["n"][0].as_py() == 60
    result = train_model(store, _view(store), QUICK, seed=0)
    assert result.trained
    rows = store.sql(
        "SELECT p.model_id, r.status, count(*) AS n FROM predictions p JOIN runs r USING (run_id) "
        "GROUP BY ALL"
    ).to_pylist()
    assert rows == [{"model_id": result.model.model_id, "status": "finished", "n": 60}]
    statuses = store.sql("SELECT status FROM runs ORDER BY status")["status"].to_pylist()
    assert statuses == ["finished", "interrupted"]


def test_a_loaded_model_gives_the_stored_predictions(store: FeatureStore) -> None:
    view = _view(store)
    result = train_model(store, view, QUICK, seed=5)
    model = load_model(store, result.model.model_id[:-2])
    assert model.model_id == result.model.model_id
    assert model.parameters == view.parameters
    stored = store.sql(
        "SELECT prediction FROM predictions WHERE model_id = ? ORDER BY material_id",
        [model.model_id],
    )["prediction"].to_numpy()
    predictions = model.predict(view.features)
    assert predictions.dtype == np.float64
    np.testing.assert_array_equal(predictions, stored)


def test_another_width_is_refused(store: FeatureStore) -> None:
    result = train_model(store, _view(store), QUICK, seed=5)
    model = load_model(store, result.model.model_id)
    with pytest.raises(InvalidInputError, match=r"takes 7 features, these rows have 4.*toy_text"):
        model.predict(_view(store, "structure").features)


def _without(view: TrainingView, fold: str, keep: int = 0) -> TrainingView:
    rows = np.flatnonzero(view.in_fold(fold))[keep:]
    kept = np.setdiff1d(np.arange(len(view)), rows)
    return replace(view, rows=view.rows.take(kept), features=view.features[kept])


@pytest.mark.parametrize(("fold", "keep"), [("train", 0), ("train", 1), ("val", 0)])
def test_folds_too_small_to_train_on(store: FeatureStore, fold: str, keep: int) -> None:
    with pytest.raises(MissingDataError, match=r"rows to train on and \d+ to stop by"):
        train_model(store, _without(_view(store), fold, keep), QUICK, seed=0)


def test_too_few_rows_says_what_the_others_lack(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 20, with_text=3)
    with pytest.raises(MissingDataError, match="17 lack a text"):
        train_model(store, _view(store), QUICK, seed=0)


def test_left_out_materials_are_said(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 30, with_text=25)
    result = train_model(store, _view(store), QUICK, seed=0)
    assert result.notes == ("left out: 5 materials without a text",)


def test_an_empty_test_fold_is_said(store: FeatureStore) -> None:
    result = train_model(store, _without(_view(store), "test"), QUICK, seed=0)
    assert "the test fold is empty: there is no test error" in result.notes
    assert result.model.metrics["folds"]["test"]["mae"] is None


def test_constant_targets_are_allowed_but_said(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 30, targets=np.full(30, 1.5))
    result = train_model(store, _view(store), QUICK, seed=0)
    assert any("all training targets are equal" in note for note in result.notes)
    assert result.model.metrics["folds"]["test"]["r2"] is None


def test_a_view_without_folds_is_refused(store: FeatureStore) -> None:
    request = toy.view_request("structure") | {"split": None}
    view = store.training_view(toy.PROPERTY, **request)
    with pytest.raises(InvalidInputError, match="--split"):
        train_model(store, view, QUICK, seed=0)


def test_a_nan_names_the_material(store: FeatureStore) -> None:
    view = _view(store)
    features = view.features.copy()
    features[17, 3] = np.nan
    with pytest.raises(InvalidInputError, match="'toy-017'"):
        train_model(store, replace(view, features=features), QUICK, seed=0)


def test_a_prediction_that_is_no_number_is_refused_and_nothing_stored(tmp_path: Path) -> None:
    """Test rows take no part in the training: their predictions may overflow all the same."""
    store = toy.make_store(tmp_path / "store", 40)
    view = _view(store)
    features = view.features.copy()
    features[view.in_fold("test")] *= np.float32(1e30)
    recipe = make_recipe("sklearn", {"estimator": "PoissonRegressor"})
    targets = view.rows.set_column(
        view.rows.column_names.index("target"), "target", pa.array(np.abs(view.targets) + 1)
    )
    with pytest.raises(
        TrainingError, match=r"sklearn predicts no finite number for \d of 40 .*'toy-0\d[49]'"
    ):
        train_model(store, replace(view, features=features, rows=targets), recipe, 0)
    assert store.sql("SELECT count(*) AS n FROM models")["n"].to_pylist() == [0]
    assert store.sql("SELECT count(*) AS n FROM predictions")["n"].to_pylist() == [0]
