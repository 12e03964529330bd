from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from featurestore.errors import MissingDataError
from featurestore.output.figures import figure_models
from featurestore.store import FeatureStore
from train.cli.root import train

TINY = ["--max-epochs", "1", "--patience", "1"]
STRUCTURE = ["--structure-encoder", "toy-graph"]
TEXT = ["--text", "robocrystallographer", "--text-encoder", "toy-text"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("stores") / "store", 40)


def _run(store: FeatureStore, *arguments: str) -> Result:
    return CliRunner().invoke(train, [*arguments, "--store", store.uri], catch_exceptions=False)


def _train(store: FeatureStore, *arguments: str) -> Result:
    return _run(store, "mlp", "--property", toy.PROPERTY, "--split", toy.SPLIT, *TINY, *arguments)


@pytest.mark.slow
def test_train_list_and_report(store: FeatureStore, tmp_path: Path) -> None:
    for features in (STRUCTURE, TEXT, [*STRUCTURE, *TEXT]):
        result = _train(store, *features, "--format", "csv")
        assert result.exit_code == 0
        assert "Trained mbj_bandgap_" in result.stderr
        folds = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [row["fold"] for row in folds] == ["train", "val", "test"]
        assert float(folds[2]["mae"]) > 0
    again = _train(store, *STRUCTURE)
    assert "already trained" in again.stderr
    listed = json.loads(_run(store, "list", "--format", "json").stdout)
    assert [row["features"] for row in listed] == ["structure", "text", "structure+text"]
    assert {row["predictor"] for row in listed} == {"mlp max_epochs=1 patience=1"}
    shown = _run(store, "report", "-o", str(tmp_path / "out"))
    assert "structure+text" in shown.stdout
    assert "unit               eV" in shown.stdout
    assert (tmp_path / "out" / "parity_mbj_bandgap_toy.png").stat().st_size > 10_000


def test_boosted_trees(store: FeatureStore) -> None:
    arguments = ["gbt", "--property", toy.PROPERTY, "--split", toy.SPLIT, *STRUCTURE]
    result = _run(store, *arguments, "--max-trees", "3", "--format", "csv")
    assert [row["fold"] for row in csv.DictReader(io.StringIO(result.stdout))][-1] == "test"
    assert "already trained" in _run(store, *arguments, "--max-trees", "3").stderr


def test_the_ensemble_prints_its_coverage(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 100)
    arguments = ["ensemble", "--property", toy.PROPERTY, "--split", toy.SPLIT, *STRUCTURE, *TEXT]
    result = _run(store, *arguments, "--max-epochs", "2")
    assert result.exit_code == 0
    assert "Share of the Gaussian process in the average" in result.stderr
    assert "intervals of nominal coverage: 68%: " in result.stderr
    assert "already trained" in _run(store, *arguments, "--max-epochs", "2").stderr
    (row,) = json.loads(_run(store, "list", "--format", "json").stdout)
    assert row["predictor"] == "ensemble epochs=2"


def test_an_ensemble_without_intervals_says_so(store: FeatureStore) -> None:
    arguments = ["ensemble", "--property", toy.PROPERTY, "--split", toy.SPLIT, *STRUCTURE]
    result = _run(store, *arguments, "--max-epochs", "1")
    assert "too few validation rows to calibrate intervals" in result.stderr


def test_the_loss_curve_is_drawn(store: FeatureStore, tmp_path: Path) -> None:
    trained = _run(
        store, "mlp", "--property", toy.PROPERTY, "--split", toy.SPLIT, *STRUCTURE, *TEXT,
        "--max-epochs", "3", "--seed", "9", "--format", "csv",
    )  # fmt: skip
    (model_id, *_) = {row["model_id"] for row in csv.DictReader(io.StringIO(trained.stdout))}
    path = tmp_path / "curves" / "loss.png"
    result = _run(store, "curve", model_id, "-o", str(path))
    assert str(path) in result.stderr
    assert path.stat().st_size > 10_000
    assert figure_models(path) == [model_id]


def test_a_single_epoch_is_no_curve(store: FeatureStore, tmp_path: Path) -> None:
    trained = _train(store, *STRUCTURE, "--seed", "8", "--format", "csv")
    model_id = next(csv.DictReader(io.StringIO(trained.stdout)))["model_id"]
    with pytest.raises(MissingDataError, match="has no loss curve"):
        _run(store, "curve", model_id, "-o", str(tmp_path / "curve.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp", "--property", "mbj_bandgap", *STRUCTURE], "Name a --split"),
        (["mlp", "--property", "mbj_bandgap", "--split", "toy"], "Name --structure-encoder"),
        (["mlp", "--split", "toy", *STRUCTURE], "--property"),
    ],
)
def test_misuse_is_exit_code_2(store: FeatureStore, arguments: list[str], message: str) -> None:
    result = _run(store, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_report_without_models_says_how_to_make_one(store: FeatureStore) -> None:
    with pytest.raises(MissingDataError, match=r"no model of property 'slme'.*train mlp"):
        _run(store, "report", "--property", "slme")


def _fit(store: FeatureStore, predictor: str, *arguments: str) -> Result:
    options = ["--property", toy.PROPERTY, "--split", toy.SPLIT]
    return CliRunner().invoke(train, ["fit", predictor, *options, *arguments, "--store", store.uri])


def test_any_predictor_is_trained_with_its_settings(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 120)
    given = ["--set", "estimator=ExtraTreesRegressor", "--set", "n_estimators=5"]
    first = _fit(store, "sklearn", *given, *STRUCTURE, *TEXT)
    assert first.exit_code == 0, first.output
    assert "intervals of nominal coverage: 68%: " in first.stderr
    assert "already trained" in _fit(store, "sklearn", *given, *STRUCTURE, *TEXT).stderr
    (row,) = json.loads(_run(store, "list", "--format", "json").stdout)
    assert row["predictor"] == 'sklearn estimator="ExtraTreesRegressor" n_estimators=5'


def test_the_short_forms_find_what_fit_has_trained(store: FeatureStore) -> None:
    given = ["--set", "max_epochs=1", "--set", "patience=1"]
    assert _fit(store, "mlp", *given, *STRUCTURE, "--variant", "full").exit_code == 0
    assert "already trained" in _train(store, *STRUCTURE).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mpl", *STRUCTURE], "unknown predictor 'mpl'; did you mean 'mlp'"),
        (["mlp", "--set", "depth=3", *STRUCTURE], "unknown setting of 'mlp': 'depth'"),
        (["mlp", "--set", "patience=long", *STRUCTURE], "(int) takes a whole number of at least 1"),
        (["mlp", "--set", "patience", *STRUCTURE], "write NAME=VALUE"),
        (["mean"], "Name --structure-encoder"),
        (["alignn", *STRUCTURE], "learns from the structures"),
        (["sklearn", "--set", "estimator=StackingRegressor", *STRUCTURE], "cannot be stored"),
    ],
)
def test_what_cannot_be_fitted_is_refused_first(
    store: FeatureStore, arguments: list[str], message: str
) -> None:
    before = store.sql("SELECT count(*) AS n FROM runs")["n"][0].as_py()
    result = _fit(store, *arguments)
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert store.sql("SELECT count(*) AS n FROM runs")["n"][0].as_py() == before


def test_the_help_lists_the_predictors() -> None:
    found = CliRunner().invoke(train, ["fit", "--help"]).output
    for name in ("alignn", "ensemble", "gbt", "mean", "median", "mlp", "sklearn"):
        assert f"\n  {name} " in found
