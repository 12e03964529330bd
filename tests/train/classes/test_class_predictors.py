"""Each predictor of classes learns, is stored and comes back; what it cannot learn is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic_store as toy
from class_lab import GAP, SPLIT, request

import train
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.store import FeatureStore
from featurestore.upkeep.derivation import derive
from ingest.library.splits import add_splits
from train.predictors.base import ClassPredictor
from train.predictors.classes.forms import MODULES
from train.predictors.registry import make_recipe
from train.training import train_model

ENSEMBLE = {"members": 2, "depth": 1, "width": 16, "epochs": 6, "rows_to_tune": 40}
SOME: list[tuple[str, dict[str, Any]]] = [
    ("frequencies", {}),
    ("gbt", {"max_epochs": 20, "min_rows_a_leaf": 3}),
    ("ensemble", ENSEMBLE),
    ("ensemble", ENSEMBLE | {"learn_from_val": False}),
]
_FEW = {
    **{key: {"n_estimators": 3} for key in ("RandomForestClassifier", "ExtraTreesClassifier")},
    "GradientBoostingClassifier": {"n_estimators": 3},
    "HistGradientBoostingClassifier": {"max_iter": 3, "min_samples_leaf": 3},
    "MLPClassifier": {"solver": "lbfgs", "max_iter": 50, "hidden_layer_sizes": (4,)},
    "LogisticRegressionCV": {"cv": 2, "Cs": 2},
}
SOME += [("sklearn", {"estimator": name, **_FEW.get(name, {})}) for name in sorted(MODULES)]


@pytest.fixture(scope="module")
def lab(trained: tuple[Path, dict[str, list[str]]]) -> FeatureStore:
    """The session's store itself: more models do no harm to its other users, who copy it."""
    return FeatureStore.open(trained[0])


@pytest.fixture(scope="module")
def views(lab: FeatureStore) -> dict[str, Any]:
    return {name: lab.view(request(name)) for name in ("positive", "size")}


@pytest.mark.parametrize("name", ["positive", "size"])
@pytest.mark.parametrize(
    ("predictor", "settings"),
    SOME,
    ids=[str(settings.get("estimator", name)) + str(i) for i, (name, settings) in enumerate(SOME)],
)
def test_it_learns_and_comes_back(
    views: dict[str, Any], name: str, predictor: str, settings: dict[str, Any]
) -> None:
    from featurestore.output.progress import progress_bar
    from train.predictors.base import Examples
    from train.predictors.registry import restored

    view = views[name]
    recipe = make_recipe(predictor, settings, classes=True)
    folds = [view.in_fold(fold) for fold in ("train", "val", "test")]
    k = len(view.parameters.classes)
    rows = [Examples(view.features[f], view.targets[f], view.segments, k) for f in folds]
    with progress_bar(1, "test", "epochs") as progress:
        fitted = recipe.fit(rows[0], rows[1], 0, progress)
    assert isinstance(fitted.predictor, ClassPredictor)
    told = fitted.predictor.probabilities(rows[2].features)
    assert told.shape == (len(rows[2]), k)
    assert np.allclose(told.sum(axis=1), 1)
    again = restored(predictor, recipe.settings, fitted.predictor.to_bytes(), classes=True)
    assert np.array_equal(again.probabilities(rows[2].features), told)  # type: ignore[attr-defined]
    assert np.array_equal(again.predict(rows[2].features), told.argmax(axis=1))
    truth = rows[0].targets.astype(int)
    found = fitted.predictor.predict(rows[0].features) == truth
    assert found.mean() > max(np.bincount(truth)) / len(truth) or predictor == "frequencies"
    assert fitted.history[-1].val_mae < 1
    same = recipe.fit(rows[0], rows[1], 0, progress)
    assert same.predictor.to_bytes() == fitted.predictor.to_bytes()


@pytest.mark.parametrize("name", ["ensemble", "gbt", "sklearn", "frequencies"])
def test_the_declared_defaults_are_the_learners(name: str) -> None:
    recipe = make_recipe(name, classes=True)
    learner = recipe.learner  # type: ignore[attr-defined]
    assert learner == type(learner)() and recipe.settings == type(learner)().settings


def test_what_is_stored_of_a_model(store: FeatureStore, ids: dict[str, list[str]]) -> None:
    model = train.load(store, ids["size"][0])
    rows = store.sql(
        "FROM predictions WHERE model_id = ? ORDER BY material_id", [model.model_id]
    ).to_pylist()
    probabilities = np.array([row["probabilities"] for row in rows])
    targets = np.array([row["target"] for row in rows]).astype(int)
    test = np.array([row["fold"] == "test" for row in rows])
    metrics = model.stored.metrics
    assert metrics["classes"] == ["large", "medium", "small"]
    assert sum(map(sum, metrics["confusion"])) == test.sum() == metrics["folds"]["test"]["n"]
    assert metrics["folds"]["test"]["accuracy"] == pytest.approx(
        (probabilities.argmax(axis=1) == targets)[test].mean()
    )
    names = np.array(metrics["classes"])
    held = [names[t] in row["class_set"] for t, row in zip(targets, rows, strict=True)]
    assert metrics["coverage"]["0.90"] == pytest.approx(np.array(held)[test].mean())
    assert [row["std"] for row in rows] == [None] * len(rows)
    view = store.view(request("size", "structure+text"))
    own = ~view.in_fold("val")
    assert np.allclose(model.probabilities(view.features)[own], probabilities[own])
    # what the store has of validation rows is of a model that did not learn from them
    assert not np.allclose(model.probabilities(view.features)[~own], probabilities[~own])
    shown = store.sql(
        "SELECT target, prediction, probability FROM class_predictions WHERE model_id = ? "
        "ORDER BY material_id",
        [model.model_id],
    ).to_pylist()
    assert [row["target"] for row in shown] == list(names[targets])
    assert [row["probability"] for row in shown] == pytest.approx(probabilities.max(axis=1))


@pytest.mark.parametrize(
    ("name", "predictor", "settings", "message"),
    [
        ("positive", "mlp", {}, "mlp learns numbers.*predictors of classes: ensemble"),
        ("positive", "mean", {}, "mean learns numbers"),
        (GAP, "frequencies", {}, "frequencies learns classes, and the property has numbers"),
        ("positive", "sklearn", {"estimator": "SVR"}, "SVR learns numbers, not classes"),
        (GAP, "sklearn", {"estimator": "LogisticRegression"}, "learns classes, not numbers"),
        ("positive", "sklearn", {"estimator": "SVC"}, "SVC cannot be stored without pickle"),
    ],
)
def test_numbers_and_classes_are_not_mixed_up(
    lab: FeatureStore, name: str, predictor: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        train.fit(lab, request(name), predictor, **settings)


def test_a_recipe_for_the_other_kind_is_refused(lab: FeatureStore, views: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="has the classes false or true, and this gbt"):
        train_model(lab, views["positive"], make_recipe("gbt"), 0)
    with pytest.raises(InvalidInputError, match="has numbers in eV, and this gbt learns classes"):
        train_model(lab, lab.view(request(GAP)), make_recipe("gbt", classes=True), 0)


@pytest.mark.slow
def test_classes_that_cannot_be_learned(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 20)
    number = "CAST(substr(material_id, 5) AS INTEGER)"
    rules = {
        # the folds go by the number modulo five: 3 is val, 4 is test
        "one": f"{number} % 5 > 2",
        "untrained": f"CASE WHEN {number} % 5 = 4 THEN 'c' WHEN {number} % 2 = 0 THEN 'a' ELSE 'b' "
        "END",
        "rare": f"CASE {number} % 2 WHEN 0 THEN 'a' ELSE 'b' END",
    }
    derive(store, "one", rules["one"])
    derive(store, "untrained", rules["untrained"])
    derive(store, "rare", rules["rare"], classes=[*"abcdefghijklmnopqrstu"])
    for name in rules:
        add_splits(store, like=GAP, name=SPLIT, property=name)
    with pytest.raises(InvalidInputError, match=r"all 12 training materials.*are of the class 'f"):
        train.fit(store, request("one"), "frequencies")
    with pytest.raises(MissingDataError, match="class 'c' of 'untrained' has no training material"):
        train.fit(store, request("untrained"), "frequencies")
    without = request("untrained")
    found = train.fit(
        store, type(without)(**vars(without) | {"where": "untrained <> 'c'"}), "frequencies"
    )
    assert found.model.metrics["folds"]["test"]["n"] == 0
    rare = train.fit(store, request("rare"), "frequencies")
    assert any("more classes (21) than training materials (12)" in note for note in rare.notes)
    assert any("no material is of the class 'c', 'd'" in note for note in rare.notes)
    assert any("too few validation rows to calibrate sets" in note for note in rare.notes)


def test_a_value_that_is_the_place_of_no_class(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 10)
    derive(store, "positive", f"{GAP} > 0")
    add_splits(store, like=GAP, name=SPLIT, property="positive")
    row = store.sql("FROM properties WHERE property = 'positive'").to_pylist()[0]
    store.merge_rows("properties", [row | {"value": 2.0}], replace=True)
    with pytest.raises(InvalidInputError, match="has the value 2, which is the place of no class"):
        train.fit(store, request("positive"), "frequencies")
