"""Training on what is left out in turn, and what that costs against a cross-validation."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from here import cluster_here
from synthetic_store import PROPERTY, make_store

import train
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.quoting import SQL
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from ingest.library.splits import add_splits
from train.crossfit.fold_models import FoldFailedError
from train.crossfit.result import CrossValidated

REQUEST = ViewRequest(PROPERTY, structure_encoder="toy-graph", split="by")
N = 24


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Two elements beside chlorine; those with potassium have other targets."""
    folder = tmp_path_factory.mktemp("left-out") / "store"
    made = make_store(folder, N, targets=np.arange(N) % 2 * 5.0 + np.arange(N) / 10)
    odd = ", ".join(f"'toy-{i:03}'" for i in range(1, N, 2))
    made.update(
        "materials", SQL(f"material_id IN ({odd})"), {"species": SQL("make_array('K', 'Cl')")}
    )
    add_splits(made, leave_out="element", name="by", property=PROPERTY)
    add_splits(made, folds=2, name="cv2", property=PROPERTY)
    return made


@pytest.fixture(scope="module")
def found(store: FeatureStore) -> CrossValidated:
    return train.cross_validate(store, REQUEST, "mean", against="cv2")


@pytest.mark.slow
def test_what_it_costs_is_counted_on_the_same_materials(
    store: FeatureStore, found: CrossValidated
) -> None:
    rows = store.sql(
        "SELECT split, material_id, abs(prediction - target) AS error FROM predictions "
        "JOIN models USING (model_id) WHERE fold = 'test'"
    ).to_pylist()
    crossed = {r["material_id"]: r["error"] for r in rows if r["split"].startswith("cv2/")}
    assert len(crossed) == N and found.parts == ("K", "Na")
    for row in found.table.to_pylist():
        errors = {r["material_id"]: r["error"] for r in rows if r["split"] == f"by/{row['part']}"}
        assert row["n_test"] == len(errors) == 12 and row["n_train"] == 12
        assert row["mae"] == pytest.approx(np.mean(list(errors.values())))
        against = np.mean([crossed[name] for name in errors])
        assert row["mae_against"] == pytest.approx(against)
        assert row["cost"] == pytest.approx(100 * (row["mae"] / against - 1))
        assert row["cost"] > 40
    (first, second) = found.sentences()
    assert first.startswith("Out of fold, 24 materials: MAE 5.0")
    assert "To be left out costs" in second and "cv2 on the same 24 materials" in second
    assert [row["part"] for row in found.short.to_pylist()] == ["K", "Na"]


@pytest.mark.slow
def test_a_second_time_nothing_is_trained(store: FeatureStore, found: CrossValidated) -> None:
    again = train.cross_validate(store, REQUEST, "mean")
    assert again.trained == 0 and found.trained == 2
    assert "cost" not in again.short.column_names
    assert again.table["cost"].null_count == 2


def test_a_model_of_all_rows_needs_a_cross_validation(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="on each material once"):
        train.final(store, REQUEST, "mean")


def test_a_split_that_tests_on_nothing_is_named(store: FeatureStore) -> None:
    few = ViewRequest(
        PROPERTY, structure_encoder="toy-graph", split="by", where="NOT list_contains(species, 'K')"
    )
    with pytest.raises(MissingDataError, match="by/K"):
        train.cross_validate(store, few, "mean")


def test_more_folds_than_materials(store: FeatureStore) -> None:
    with pytest.raises(MissingDataError, match="24 groups; 25 folds need as many"):
        add_splits(store, folds=25, property=PROPERTY, name="cv25")


def test_folds_of_one_group(store: FeatureStore) -> None:
    with pytest.raises(MissingDataError, match="1 groups; 2 folds"):
        add_splits(store, folds=2, group_by="prototype", property=PROPERTY, name="cv-one")


@pytest.mark.slow
def test_results_are_shown_in_a_notebook(found: CrossValidated, tmp_path: Path) -> None:
    assert "To be left out costs" in repr(found)


@pytest.mark.slow
def test_in_workers_models_are_the_same_to_the_byte(tmp_path: Path) -> None:
    weights = []
    for place in ("here", "workers"):
        own = make_store(tmp_path / place, N)
        add_splits(own, folds=2, name="cv2", property=PROPERTY)
        request = replace(REQUEST, split="cv2")
        with cluster_here() if place == "workers" else nullcontext():
            found = train.cross_validate(own, request, "mlp", max_epochs=5)
        assert found.trained == 2 and found.parts == ("0", "1")
        rows = own.sql("SELECT model_id, weights FROM models").to_pylist()
        weights.append({row["model_id"]: row["weights"] for row in rows})
    assert weights[0] == weights[1]


def test_what_a_worker_cannot_train_is_named_and_the_rest_is_kept(store: FeatureStore) -> None:
    request = replace(REQUEST, split="cv2")
    few = {"max_epochs": 2, "learning_rate": 1e35}
    with cluster_here(), pytest.raises(FoldFailedError, match=r"2 of 2 .*'cv2/0': TrainingError"):
        train.cross_validate(store, request, "mlp", **few)
