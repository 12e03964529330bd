"""Predictors of other packages: what is at fault is named, and models of them are not lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from made_up_package import install

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.plugins import (
    PREDICTORS,
    MissingPackageError,
    NotAPartError,
    PartConflictError,
    PartImportError,
)
from train.predictors.loading import load_model
from train.predictors.registry import changed_settings, default_settings, make_recipe, reads
from train.training import train_model

SOUND = """
from dataclasses import dataclass
import numpy as np
from safetensors.numpy import load, save
from featurestore.plugins import Setting
from train.predictors.base import Epoch, Fitted
from train.predictors.registry import PredictorPart


class Atoms:
    def inputs(self, store, view):
        rows = store.sql("SELECT structure_id, volume FROM materials").to_pylist()
        volume = {{row["structure_id"]: row["volume"] for row in rows}}
        found = np.empty(len(view), dtype=object)
        found[:] = [volume[one] for one in view.rows["structure_id"].to_pylist()]
        return found


@dataclass
class Trained(Atoms):
    factor: float
    n_features: int = 0

    def predict(self, inputs):
        return self.factor * inputs.astype(float)

    def to_bytes(self):
        return save({{"factor": np.array([self.factor])}})


@dataclass
class Recipe(Atoms):
    settings: dict
    name: str = "{calls_itself}"
    max_epochs: int = 1

    def fit(self, train, val, seed, progress):
        progress.update()
        factor = float(train.targets.mean() / np.mean(train.features.astype(float)))
        return Fitted(Trained(factor), [Epoch(1, 0.0, 0.0)], 1)


PART = PredictorPart(
    name="{name}",
    summary="Proportional to the volume.",
    make=lambda request: {made},
    restore=lambda settings, weights: {restored},
    reads="structures",
    packages={packages},
    settings=(
        Setting("device", str, "cpu", "Where.", identity=False),
        Setting("power", float, 1.0, "Of it."),
    ),
    licence="MIT",
)
"""
GOOD = {
    "name": "volume",
    "calls_itself": "volume",
    "made": "Recipe(dict(request.settings))",
    "restored": 'Trained(float(load(weights)["factor"][0]))',
    "packages": "()",
}


def add(site: Path, code: str, package: str = "lab-volume") -> None:
    module = package.replace("-", "_")
    entries = {PREDICTORS: {"volume": f"{module}:PART"}}
    install(site, package, entry_points=entries, modules={module: code}, version="2.5")


def test_other_inputs_than_vectors_train_restore_and_predict_through_one_door(
    site: Path, tmp_path: Path
) -> None:
    add(site, SOUND.format(**GOOD))
    store = toy.make_store(tmp_path / "store", 40)
    view = store.training_view(toy.PROPERTY, features="graph", split=toy.SPLIT)
    stored = train_model(store, view, make_recipe("volume"), 0).model
    model = load_model(store, stored.model_id)
    known = store.sql("SELECT prediction FROM predictions ORDER BY material_id")["prediction"]
    np.testing.assert_array_equal(model.predict(model.inputs(store, view)), known.to_numpy())
    with pytest.raises(InvalidInputError, match="takes 0 features, these rows have 3"):
        model.predict(np.zeros((2, 3), np.float32))
    # Where it is computed is no other model, what is computed is.
    elsewhere = train_model(store, view, make_recipe("volume", {"device": "cuda"}), 0)
    assert (elsewhere.trained, elsewhere.model.model_id) == (False, stored.model_id)
    assert train_model(store, view, make_recipe("volume", {"power": 2}), 0).trained


def test_a_model_whose_package_is_gone_or_broken_says_so_and_is_listed(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(site, SOUND.format(**GOOD))
    store = toy.make_store(tmp_path / "store", 40)
    view = store.training_view(toy.PROPERTY, features="graph", split=toy.SPLIT)
    stored = train_model(store, view, make_recipe("volume", {"power": 2}), 0).model
    assert changed_settings("volume", stored.settings) == {"power": 2.0}
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(site)])
    with pytest.raises(InvalidInputError, match=f"{stored.model_id} is a 'volume', which this"):
        load_model(store, stored.model_id)
    assert (reads("volume"), default_settings("volume")) == (None, {})
    assert changed_settings("volume", stored.settings) == {}
    other = tmp_path / "other"
    add(other, "import no_such_module_anywhere")
    monkeypatch.syspath_prepend(other)
    sys.modules.pop("lab_volume")
    with pytest.raises(PartImportError, match=r"lab-volume 2\.5 .*no_such_module_anywhere"):
        load_model(store, stored.model_id)
    assert changed_settings("volume", stored.settings) == {}
    sys.modules.pop("lab_volume", None)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"calls_itself": "size"}, NotAPartError, "lab-volume 2.5 .* calls itself 'size'"),
        ({"name": "size"}, NotAPartError, "calls itself 'size'"),
        ({"made": "3"}, NotAPartError, r"gives a int, which is no Recipe: it lacks .*inputs"),
        ({"packages": "('no-such-package',)"}, MissingPackageError, "pip install no-such-package"),
    ],
)
def test_a_package_that_is_at_fault_is_named(
    site: Path, changes: dict[str, str], error: type[Exception], message: str
) -> None:
    add(site, SOUND.format(**GOOD | changes))
    with pytest.raises(error, match=message):
        make_recipe("volume")


def test_what_is_restored_must_be_a_predictor(site: Path, tmp_path: Path) -> None:
    add(site, SOUND.format(**GOOD | {"restored": "Recipe(settings)"}))
    store = toy.make_store(tmp_path / "store", 40)
    view = store.training_view(toy.PROPERTY, features="graph", split=toy.SPLIT)
    stored = train_model(store, view, make_recipe("volume"), 0).model
    with pytest.raises(NotAPartError, match="no Predictor: it lacks n_features, predict, to_bytes"):
        load_model(store, stored.model_id)


def test_two_packages_with_one_predictor_are_both_named(site: Path) -> None:
    for package in ("lab-a", "lab-b"):
        add(site, SOUND.format(**GOOD), package)
    with pytest.raises(PartConflictError, match=r"lab-a 2\.5 .* and by lab-b 2\.5"):
        make_recipe("volume")
    with pytest.raises(UnknownNameError, match="did you mean 'volume'"):
        make_recipe("volum")


def test_a_whole_number_for_a_number_stays_whole_and_so_does_the_id() -> None:
    """Models that are stored were trained with what was given, 0 or 0.0: two ids."""
    for value in (0, 0.0):
        settings = make_recipe("ensemble", {"kernel_power": value}).settings
        assert json.dumps(settings["kernel_power"]) == json.dumps(value)
