from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from featurestore.errors import MissingDataError
from featurestore.store import FeatureStore
from train.cli import train

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
