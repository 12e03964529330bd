"""Models of classes that learned from all rows: out-of-fold probabilities, sets by CV+."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import class_lab as lab
import numpy as np
import pytest
from click.testing import CliRunner
from html_page import check_alone

import explain
import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from featurestore.upkeep.verify import verify
from featurestore.views.request import ViewRequest
from ingest.library.splits import add_splits
from train.crossfit.class_sets import ClassCrossCalibration, cv_plus_sets, out_of_fold_sets
from train.crossfit.predictor import CrossFittedOfClasses
from train.forecasts.calibration import UNCALIBRATED
from train.forecasts.chosen import named_group
from train.forecasts.group import load_group
from train.predictors.loading import load_model
from train.screening.screen import screen
from train.sharing.card import card_markdown, model_card
from train.sharing.knowledge import from_arrays, to_arrays

REQUEST = ViewRequest("size", structure_encoder="toy-graph", split="three")
FEW = {"estimator": "LogisticRegression", "standardise": True}
N = lab.N - 1


def drawn(n: int, seed: int, folds: int = 3):  # type: ignore[no-untyped-def]
    """Classes of three sizes, scores of each fold's model that differ a little, and folds."""
    generator = np.random.default_rng(seed)
    targets = generator.choice(3, size=n, p=[0.6, 0.3, 0.1])
    common = generator.normal(size=(n, 1, 3)) + 2 * np.eye(3)[targets][:, None]
    scores = np.exp(common + 0.4 * generator.normal(size=(n, folds, 3)))
    return targets, scores / scores.sum(axis=2, keepdims=True), np.arange(n) % folds


def test_sets_are_those_of_the_definition() -> None:
    """Romano et al. 2020, equation 8, written out: a class, a material, a comparison at a time."""
    targets, said, fold_of = drawn(90, 0)
    errors = 1 - said[np.arange(90), fold_of, targets]
    _, new, _ = drawn(40, 1)
    found = cv_plus_sets(new, errors, targets, fold_of, 0.9)
    assert found is not None
    of_class = [np.flatnonzero(targets == c) for c in range(3)]
    assert [len(rows) > 18 for rows in of_class] == [True, True, False]
    for c, rows in enumerate([of_class[0], of_class[1], np.arange(90)]):
        for x in range(40):
            surpassed = sum(errors[i] < 1 - new[x, fold_of[i], c] for i in rows)
            assert found[x, c] == (surpassed < 0.9 * (len(rows) + 1) - 1e-9), (x, c)
    # where the models of the folds agree, it is split conformal by all rows
    same = np.repeat(new[:, :1], 3, axis=1)
    cut = np.sort(errors[of_class[0]])[int(np.ceil(0.9 * (len(of_class[0]) + 1))) - 1]
    agreed = cv_plus_sets(same, errors, targets, fold_of, 0.9)
    assert agreed is not None and (agreed[:, 0] == (1 - same[:, 0, 0] <= cut)).all()


def test_sets_hold_their_share_and_too_few_materials_give_none() -> None:
    held, own = [], []
    for seed in range(80):
        targets, said, fold_of = drawn(400, seed)
        known, new = slice(0, 120), slice(120, 400)
        told = said[np.arange(400), fold_of]
        cross = ClassCrossCalibration.of(3, fold_of[known], told[known], targets[known])
        inside = cross.sets(said[new], told[new])
        assert inside is not None and inside.any(axis=1).all()
        held.append(inside[np.arange(280), targets[new]].mean())
        sets = out_of_fold_sets(told[known], targets[known], fold_of[known])
        assert sets is not None and (sets[0.95] >= sets[0.9]).all()
        own.append(sets[0.9][np.arange(120), targets[known]].mean())
    assert 0.89 < np.mean(held) < 0.96 and 0.88 < np.mean(own) < 0.96
    few = ClassCrossCalibration.of(2, fold_of[:8] % 2, told[:8], targets[:8])
    assert few.sets(said[:5, :2], told[:5]) is None
    assert few.said == f"{UNCALIBRATED}: 8 out-of-fold probabilities, 9 needed"
    assert out_of_fold_sets(told[:20], targets[:20], fold_of[:20]) is None


@pytest.fixture(scope="module")
def final(
    trained: tuple[Path, dict[str, list[str]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FeatureStore, str]]:
    """A store with a model of all its classes."""
    folder = tmp_path_factory.mktemp("final") / "store"
    shutil.copytree(trained[0], folder)
    store = FeatureStore.open(folder)
    add_splits(store, folds=3, name="three", property="size")
    yield store, train.final(store, REQUEST, "sklearn", **FEW).model.model_id


@pytest.mark.slow
def test_what_is_stored_and_what_is_told(final: tuple[FeatureStore, str]) -> None:
    store, name = final
    rows = store.sql("FROM predictions WHERE model_id = ? ORDER BY material_id", [name]).to_pylist()
    loaded = load_model(store, name)
    fitted, stored = loaded.predictor, loaded.stored
    assert isinstance(fitted, CrossFittedOfClasses) and len(fitted.of_fold) == 3
    view = store.training_view("size", structure_encoder="toy-graph")
    said, own = fitted.say_of_folds(view.features), fitted.probabilities(view.features)
    place = {one: row for row, one in enumerate(view.material_ids)}
    assert len(rows) == N and {row["fold"] for row in rows} == {"test"}
    scores = []
    for row in rows:
        at, fold = place[row["material_id"]], fitted.fold_of[row["material_id"]]
        assert row["probabilities"] == pytest.approx(said[at, fold])
        assert row["prediction"] == said[at, fold].argmax() and row["class_set"]
        truth = np.eye(3)[int(row["target"])]
        scores.append(((np.array(row["probabilities"]) - truth) ** 2).sum())
    folds = stored.metrics["folds"]
    assert folds["test"]["brier"] == pytest.approx(np.mean(scores))
    assert folds["test"]["n"] == folds["train"]["n"] == N and folds["val"]["n"] == 0
    names = stored.parameters.classes
    held = np.mean([names[int(row["target"])] in row["class_set"] for row in rows])
    assert stored.metrics["coverage"]["0.90"] == pytest.approx(held) and held > 0.85
    assert np.sum(stored.metrics["confusion"]) == N
    assert len(stored.cross_validation["brier_of_folds"]) == 3
    assert "too few" not in json.dumps(stored.metrics)
    told = train.predict(store, ids=[lab.UNKNOWN, "toy-009"], models=name, keep=False).rows
    everything = store.view(ViewRequest("size", structure_encoder="toy-graph"))
    assert told[1].probabilities == pytest.approx(own[everything.material_ids.index("toy-009")])
    assert told[0].calibration == f"sets that hold 90 %, by CV+ over 3 folds of {N} materials"
    assert told[0].classes[int(told[0].prediction)] in (told[0].class_set or ())


@pytest.mark.slow
def test_carded_screened_scored_and_taken_elsewhere(
    final: tuple[FeatureStore, str], tmp_path: Path
) -> None:
    shutil.copytree(final[0].uri, tmp_path / "store")
    store, name = FeatureStore.open(tmp_path / "store"), final[1]
    card = model_card(store, name)
    assert card["intervals"]["method"] == "CV+ over 3 folds"
    assert card["errors"]["materials"] == card["intervals"]["calibrated_by"] == N
    (measured,) = [row for row in card["intervals"]["test_fold"] if row["part"] == "all"]
    stored = train.load(store, name).stored.metrics
    assert measured["covered"] == pytest.approx(stored["coverage"]["0.90"])
    assert measured["set_size"] == pytest.approx(stored["set_size"]["0.90"])
    assert f"{N} materials, each out of fold" in card_markdown(card)
    found = screen(store, ["size = small"], ids=[lab.UNKNOWN, "toy-009"], models=[name])
    told = train.predict(store, ids=[lab.UNKNOWN], models=name).rows[0]
    table = {row["material_id"]: row for row in found.table.to_pylist()}
    assert table[lab.UNKNOWN]["size_probability"] == pytest.approx(told.probabilities[2])
    assert train.score(store).to_pylist()[0]["waiting"] == 1
    explain.write_report(store, name, tmp_path / "page.html")
    page = check_alone((tmp_path / "page.html").read_text("utf-8"))
    assert "Each prediction here is out of fold" in page.text and "ROC curve" in page.text
    assert "learned from all its materials" in page.text and "explain tags" not in page.text
    with store.session() as session:
        knowledge = load_group(store, named_group(session, name)).knowledge
    arrays, told = to_arrays(knowledge)
    again = from_arrays(arrays, json.loads(json.dumps(told)), arrays["features"].shape[1])
    assert isinstance(again.cross, ClassCrossCalibration)
    assert to_arrays(again)[1] == told
    for key, wrong in (("targets", [-1] * N), ("targets", [0.5] * N), ("errors", [2.0] * N)):
        damaged = told | {"cross": told["cross"] | {key: wrong}}
        with pytest.raises(ValueError, match="out-of-fold error"):
            from_arrays(arrays, damaged, arrays["features"].shape[1])
    of_models = ("models", "predictions", "forecasts")
    assert not [one for one in verify(store) if one.wrong and one.table in of_models]
    assert [lack for lack in train.status(store).lacks if lack.level == "models"] == []


@pytest.mark.slow
def test_the_command_and_what_it_refuses(final: tuple[FeatureStore, str]) -> None:
    store, name = final
    asked = ["sklearn", "--set", "estimator=LogisticRegression", "--set", "standardise=true"]
    asked += ["--property", "size", "--split", "three", "--structure-encoder", "toy-graph"]
    told = CliRunner().invoke(root, ["train", "final", *asked, "--store", store.uri])
    assert told.exit_code == 0 and name in told.output and "already trained" in told.output
    assert "Test targets within the sets" in told.output and "out of fold" in told.output
    refused = CliRunner().invoke(
        root, ["explain", "words", "toy-009", "--model", name, "--store", store.uri]
    )
    assert isinstance(refused.exception, InvalidInputError)
