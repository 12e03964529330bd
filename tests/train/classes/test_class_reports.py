"""Models of classes in lists, reports, benchmarks, comparisons, cards and files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from class_lab import GAP, SPLIT, request
from click.testing import CliRunner, Result

import train
from featurestore.cli.root import root
from featurestore.store import FeatureStore
from train.analysis.predictions import fold_errors
from train.analysis.resampling import paired_difference
from train.forecasts.chosen import named_group
from train.forecasts.group import load_group
from train.sharing.card import card_markdown, model_card
from train.sharing.comparison import compare_models
from train.sharing.knowledge import from_arrays, to_arrays


def run(store: FeatureStore, *arguments: str) -> Result:
    return CliRunner().invoke(root, [*arguments, "--store", store.uri], catch_exceptions=False)


def test_lists_and_reports_have_both_kinds(
    store: FeatureStore, ids: dict[str, list[str]], tmp_path: Path
) -> None:
    train.fit(store, request(GAP), "median")
    rows = list(csv.DictReader(io.StringIO(run(store, "train", "list", "--format", "csv").stdout)))
    by_id = {row["model_id"]: row for row in rows}
    number = next(row for row in rows if row["property"] == GAP)
    first = by_id[ids["size"][0]]
    assert float(number["test_mae"]) > 0 and not number["test_brier"]
    assert float(first["test_brier"]) > 0 and not first["test_mae"]
    assert float(first["test_auc"]) > 0.8
    shown = run(store, "train", "report", "-o", str(tmp_path / "out"))
    assert "test_brier" in shown.stdout and "deterministic" in shown.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"parity_{GAP}_{SPLIT}.png",
        f"reliability_positive_{SPLIT}.png",
        f"reliability_size_{SPLIT}.png",
    }


@pytest.mark.slow
def test_a_benchmark_compares_brier_scores_pairwise(
    store: FeatureStore, ids: dict[str, list[str]]
) -> None:
    found = train.compare(
        store,
        ["size", GAP],
        SPLIT,
        structure_encoders=["toy-graph"],
        predictors=["sklearn", "gbt"],
        settings={"gbt": {"max_epochs": 5}},
    )
    rows = {(row.cell.request.property, row.cell.predictor): row for row in found.rows}
    assert not found.failures
    trees, forest = rows["size", "gbt"], rows["size", "sklearn"]
    assert forest.models.first.settings["estimator"] == "RandomForestClassifier"
    with store.session() as session:
        errors = fold_errors(session, [row.models.first.model_id for row in (forest, trees)])
    a, b = (one.errors for one in errors.values())
    gain = paired_difference(a, b)
    assert trees.predictor_gain is not None
    assert trees.predictor_gain.difference == gain
    metrics = trees.models.first.metrics["folds"]["test"]
    assert trees.test_error.value == pytest.approx(metrics["brier"]) == pytest.approx(b.mean())
    table = found.table.to_pylist()
    of_size = next(row for row in table if row["property"] == "size" and row["predictor"] != "x")
    assert of_size["test_mae"] is None and of_size["test_brier"] > 0 and of_size["set_size_90"] >= 1
    of_gap = next(row for row in table if row["property"] == GAP)
    assert of_gap["test_brier"] is None and of_gap["test_mae"] > 0
    shown = run(
        *(store, "train", "benchmark", "--no-train", "--property", "size", "--split", SPLIT),
        *("--structure-encoder", "toy-graph", "--predictor", "sklearn", "--predictor", "gbt"),
        *("--set", "gbt.max_epochs=5"),
    ).stdout
    assert "size: test Brier score, split toy" in shown
    assert "Brier score ± std" in shown and "auc" in shown and "ece" in shown


def test_comparisons_and_cards(store: FeatureStore, ids: dict[str, list[str]]) -> None:
    with store.session() as session:
        found = compare_models(session, ids["size"][2], ids["size"][0])
    assert (found.error, found.unit) == ("Brier score", "1")
    assert found.gain.low > 0
    assert "A's Brier score" in run(store, "models", "compare", *ids["size"][1:]).stdout
    card = model_card(store, ids["size"][0])
    assert card["is"]["classes"] == ["large", "medium", "small"]
    targets = card["trained_on"]["targets"]
    assert sum(targets.values()) == card["trained_on"]["materials"]
    assert card["errors"]["brier"] > 0 and 0.5 < card["errors"]["test_auc"] <= 1
    (whole, *_) = card["intervals"]["test_fold"]
    assert whole["part"] == "all" and 0.5 < whole["covered"] <= 1 <= whole["set_size"]
    page = card_markdown(card)
    assert (
        "Brier score: " in page
        and "90 % sets of classes: split conformal, by 24 validation" in page
    )
    assert "large, medium, small" in page


def test_what_a_file_says_of_classes_is_checked(
    store: FeatureStore, ids: dict[str, list[str]]
) -> None:
    with store.session() as session:
        group = named_group(session, ids["size"][0])
    knowledge = load_group(store, group).knowledge
    arrays, said = to_arrays(knowledge)
    assert from_arrays(arrays, json.loads(json.dumps(said)), 7).calibration == knowledge.calibration
    assert said["calibration"].keys() == {"n_rows", "thresholds"}
    for wrong, message in (
        ([1.5, 0, 0], "thresholds of sets of classes are"),
        ([-0.1, 0, 0], "thresholds"),
        ([0.5], "1 thresholds of sets, and more classes"),
    ):
        other = said | {"calibration": {"n_rows": 24, "thresholds": wrong}}
        with pytest.raises(ValueError, match=message):
            from_arrays(arrays, other, 7)
    with pytest.raises(ValueError, match="the place of no class"):
        from_arrays(arrays | {"targets": arrays["targets"] + 0.5}, said, 7)
