"""Every predictor that ships keeps the contract that strangers' are tested with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import synthetic_store as toy
from tiers import few

from featurestore.errors import InvalidInputError
from featurestore.plugins import PREDICTORS, load_part, part_names, registered
from featurestore.testing import PredictorContract
from featurestore.testing.predictors import Examples
from ingest.sample import sample_archive
from ingest.structures.jarvis import read_jarvis
from train.predictors.loading import load_model
from train.predictors.registry import PredictorPart, identity, make_recipe
from train.training import train_model


class Shipped(PredictorContract):
    name: ClassVar[str]

    @pytest.fixture
    def part(self) -> PredictorPart:
        return load_part(PREDICTORS, self.name, PredictorPart)


class TestMLP(Shipped):
    name = "mlp"
    settings: ClassVar = {"widths": (8, 8), "max_epochs": 6, "learning_rate": 0.01}
    other_values: ClassVar = {"widths": (4,), "learning_rate": 0.02}


class TestEnsemble(Shipped):
    name = "ensemble"
    settings: ClassVar = {"members": 2, "depth": 1, "width": 8, "epochs": 3}


class TestBoostedTrees(Shipped):
    name = "gbt"
    settings: ClassVar = {"max_epochs": 9}
    other_values: ClassVar = {"losses": ("squared_error",)}


class TestAttention(Shipped):
    name = "attention"
    settings: ClassVar = {"members": 2, "width": 8, "layers": 1, "heads": 2, "max_epochs": 3}
    other_values: ClassVar = {"heads": 4, "width": 16}


class TestMean(Shipped):
    name = "mean"


class TestMedian(Shipped):
    name = "median"


class TestForest(Shipped):
    name = "sklearn"
    settings: ClassVar = {"estimator": "RandomForestRegressor", "n_estimators": 5}
    other_values: ClassVar = {"estimator": "ExtraTreesRegressor"}


class TestSupportVectors(Shipped):
    name = "sklearn"
    settings: ClassVar = {"estimator": "SVR", "C": 10, "standardise": True}
    # The parameter belongs to this class alone.
    other_values: ClassVar = {"estimator": None}


class TestAlignn(Shipped):
    name = "alignn"
    settings: ClassVar = {
        "alignn_layers": 1,
        "gcn_layers": 1,
        "hidden_features": 8,
        "epochs": 2,
        "batch_size": 6,
    }
    other_values: ClassVar = {"device": "cuda"}
    # Sums of the same terms in float32, over batches of other sizes.
    tolerance: ClassVar = 1e-4

    def examples(self) -> tuple[Any, Any]:
        from train.predictors.graph.examples import graph_example
        from train.predictors.graph.trainer import GraphTraining

        settings = GraphTraining().graph
        crystals = [one for one in read_jarvis(sample_archive()) if one.structure.n_atoms <= 9]
        graphs = np.empty(18, dtype=np.object_)
        graphs[:] = [graph_example(one.structure, settings) for one in crystals[:18]]
        targets = np.array([one.structure.volume for one in crystals[:18]])
        return Examples(graphs[:12], targets[:12]), Examples(graphs[12:], targets[12:])


SMALL: Mapping[str, Mapping[str, Any]] = {
    "mlp": TestMLP.settings,
    "ensemble": TestEnsemble.settings,
    "gbt": TestBoostedTrees.settings,
    "attention": TestAttention.settings,
    "sklearn": TestForest.settings,
    "mean": {},
    "median": {},
}


def test_what_ships_is_registered_like_anybodys_and_tested_above() -> None:
    ours = [
        name
        for name in part_names(PREDICTORS)
        if registered(PREDICTORS, name).package == "materials-featurestore"
    ]
    # the constant of classes is tested with the others that learn classes
    assert sorted(ours) == sorted({*SMALL, "alignn", "frequencies"})


@pytest.mark.parametrize("name", [*SMALL, "alignn"])
def test_the_declared_defaults_are_the_recipes(name: str) -> None:
    made = make_recipe(name)
    plain = type(made)(name) if name in ("mean", "median") else type(made)()
    assert made == plain and made.settings == plain.settings


@pytest.mark.parametrize("name", few(SMALL))
def test_through_the_store(name: str, tmp_path: Path) -> None:
    """Stored predictions are those of the model that is loaded; wrong rows are refused."""
    store = toy.make_store(tmp_path / "store", 120)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure+text"))
    recipe = make_recipe(name, SMALL[name])
    stored = train_model(store, view, recipe, 0).model
    model = load_model(store, stored.model_id)
    known = store.sql(
        "SELECT fold, prediction FROM predictions WHERE model_id = ? ORDER BY material_id",
        [stored.model_id],
    )
    fresh = np.array([fold != stored.rehearsed_fold for fold in known["fold"].to_pylist()])
    inputs = model.inputs(store, view)
    np.testing.assert_array_equal(
        model.predict(inputs)[fresh], known["prediction"].to_numpy()[fresh]
    )
    width = inputs.shape[1]
    with pytest.raises(InvalidInputError, match=f"takes {width} features, these rows have 3"):
        model.predict(inputs[:, :3])
    for value in (np.nan, np.inf):
        features = view.features.copy()
        features[7, 2] = value
        with pytest.raises(InvalidInputError, match=r"1 rows have a NaN .* 'toy-007'"):
            train_model(store, replace(view, features=features), recipe, 0)
    assert not train_model(store, view, make_recipe(name, SMALL[name]), 0).trained
    assert train_model(store, view, recipe, 1).model.model_id != stored.model_id


def test_what_a_part_declares_beside_settings_belongs_to_the_id() -> None:
    import sklearn

    found = identity(make_recipe("sklearn"))
    assert found["part"]["versions"] == {"scikit-learn": sklearn.__version__}
    assert identity(make_recipe("mlp")).keys() == {"predictor", "settings"}


@pytest.mark.parametrize(
    "arguments",
    few([["train", "list"], ["parts"], ["train", "--help"], ["train", "fit", "--help"]], 1),
)
def test_lists_and_help_import_no_model_library(arguments: list[str], tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 20)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    train_model(store, view, make_recipe("mlp", SMALL["mlp"]), 0)
    code = (
        "import sys\n"
        "from featurestore.cli.root import root\n"
        f"root.main({arguments!r}, standalone_mode=False)\n"
        "print(sorted({'torch', 'sklearn', 'alignn', 'dgl', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FEATURESTORE_URI": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
    assert "mlp" in done.stdout
