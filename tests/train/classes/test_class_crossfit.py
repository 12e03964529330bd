"""Classes and splits: cross-validation, what is left out, folds of another property."""

from __future__ import annotations

import class_lab as lab
import numpy as np
import pytest
from click.testing import CliRunner

import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from ingest.library.splits import add_splits

REQUEST = ViewRequest("size", structure_encoder="toy-graph", split="two")


@pytest.mark.slow
def test_probabilities_out_of_fold(store: FeatureStore) -> None:
    add_splits(store, folds=2, name="two", property="size")
    assert train.cross_validate(store, REQUEST, "frequencies").trained == 2
    found = train.cross_validate(store, REQUEST, "frequencies", against="two")
    assert found.trained == 0 and found.parts == ("0", "1")
    rows = store.sql(
        "SELECT split, target, probabilities FROM predictions JOIN models USING (model_id) "
        "WHERE fold = 'test' AND split LIKE 'two/%' ORDER BY split"
    ).to_pylist()
    assert len(rows) == lab.N - 1
    scores: dict[str, list[float]] = {part: [] for part in ("two/0", "two/1")}
    for row in rows:
        truth = np.eye(3)[int(row["target"])]
        scores[row["split"]].append(((np.array(row["probabilities"]) - truth) ** 2).sum())
    for of_one, row in zip(scores.values(), found.table.to_pylist(), strict=True):
        assert row["brier"] == pytest.approx(np.mean(of_one)) == row["brier_against"]
        assert row["accuracy"] <= 1 and row["cost"] == pytest.approx(0, abs=1e-9)
        assert "mae" not in row and row["auc"] == 0.5
    assert found.error.value == pytest.approx(np.mean(np.concatenate(list(scores.values()))))
    first, second = found.sentences()
    assert first.startswith("Out of fold, 119 materials: Brier score 0.") and " of two" in first
    assert "To be left out costs" in second
    assert list(found.short.column_names)[3] == "brier"


@pytest.mark.slow
def test_folds_of_another_property_beside_what_is_left_out(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="leave_out, extend and like"):
        add_splits(store, like=lab.GAP, leave_out="element", name=lab.SPLIT, property="size")
    ways = ["--like", lab.GAP, "--leave-out", "element", "--name", lab.SPLIT]
    asked = ["ingest", "splits", *ways, "--property", "size", "--store", store.uri]
    result = CliRunner().invoke(root, asked)
    assert result.exit_code == 2 and "--leave-out, --extend and --like" in result.stderr
