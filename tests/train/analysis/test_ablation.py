from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy

from featurestore.store import FeatureStore
from train.analysis.ablation import AblationRow, ablation_rows, ablation_table, comparison_warnings
from train.analysis.parity import write_parity_plot
from train.models import stored_models
from train.predictors.mlp import MLP
from train.training import train_model

QUICK = MLP(widths=(8,), learning_rate=1e-3, max_epochs=2, patience=1)
SOURCES = ("chemnlp", "robocrystallographer")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Both text sources, for 45 of 50 materials, and all five sets of features, two seeds."""
    folder = tmp_path_factory.mktemp("stores") / "store"
    store = toy.make_store(folder, 50, sources=SOURCES, with_text=45)
    for seed in (0, 1):
        _train(store, "structure", seed)
        for source in SOURCES:
            _train(store, "text", seed, source)
            _train(store, "structure+text", seed, source)
    return store


def _train(store: FeatureStore, features: str, seed: int, source: str = SOURCES[0]) -> None:
    view = store.training_view(toy.PROPERTY, **toy.view_request(features, source))
    train_model(store, view, QUICK, seed)


def _rows(store: FeatureStore) -> list[AblationRow]:
    with store.session() as session:
        return ablation_rows(session, stored_models(session))


@pytest.mark.slow
def test_the_table_has_a_row_for_each_feature_set(store: FeatureStore) -> None:
    table = ablation_table(_rows(store)).to_pylist()
    assert [(row["features"], row["text_source"]) for row in table] == [
        ("structure", None),
        ("text", "chemnlp"),
        ("text", "robocrystallographer"),
        ("structure+text", "chemnlp"),
        ("structure+text", "robocrystallographer"),
    ]
    assert {row["seeds"] for row in table} == {2}
    assert {row["unit"] for row in table} == {"eV"}
    assert table[0]["n_train"], table[0]["n_test"] == (30, 10)


@pytest.mark.slow
def test_mean_and_spread_are_over_the_seeds(store: FeatureStore) -> None:
    row = _rows(store)[0]
    maes = [model.metrics["folds"]["test"]["mae"] for model in row.models]
    assert [model.seed for model in row.models] == [0, 1]
    assert row.test_error == pytest.approx(np.mean(maes))
    assert row.test_error_std == pytest.approx(abs(maes[0] - maes[1]) / np.sqrt(2))


def test_other_materials_are_marked(store: FeatureStore) -> None:
    rows = _rows(store)
    assert [row.materials for row in rows] == ["A", "B", "B", "B", "B"]
    (sentence,) = comparison_warnings(rows)
    assert "A: 30/10/10, B: 27/9/9" in sentence


def test_equal_materials_give_no_warning(store: FeatureStore) -> None:
    assert comparison_warnings(_rows(store)[1:]) == []


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 30)
    _train(store, "structure", 0)
    (row,) = _rows(store)
    assert row.test_error is not None
    assert row.test_error_std is None


def test_settings_other_than_the_papers_stand_apart(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 30)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    train_model(store, view, QUICK, 0)
    train_model(store, view, MLP(max_epochs=1), 0)
    labels = ablation_table(_rows(store))["predictor"].to_pylist()
    assert labels == [
        "mlp learning_rate=0.001 max_epochs=2 patience=1 widths=[8]",
        "mlp max_epochs=1",
    ] or labels == [
        "mlp max_epochs=1",
        "mlp learning_rate=0.001 max_epochs=2 patience=1 widths=[8]",
    ]


def test_the_parity_plot_is_a_png_with_a_panel_for_each_row(
    store: FeatureStore, tmp_path: Path
) -> None:
    import matplotlib.image

    rows = _rows(store)
    widths = []
    for number in (1, 5):
        path = tmp_path / "plots" / f"{number}.png"
        with store.session() as session:
            write_parity_plot(session, rows[:number], path)
        image = matplotlib.image.imread(path)
        assert image.std() > 0
        widths.append(image.shape[1])
    assert widths[1] > 3 * widths[0]
