"""A model of all materials: its error is the cross-validated one, its intervals are CV+'s."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import forecast_lab as lab
import numpy as np
import pytest
from click.testing import CliRunner
from html_page import check_alone

import explain
import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.history.lineage import model_lineage
from featurestore.quoting import SQL, quoted
from featurestore.store import FeatureStore
from featurestore.upkeep.verify import verify
from featurestore.views.request import ViewRequest
from ingest.library.splits import add_splits
from train.crossfit.cv_plus import cv_plus
from train.crossfit.predictor import CrossFitted
from train.forecasts.chosen import chosen_group, named_group
from train.forecasts.coverage import coverage_of_test_fold
from train.forecasts.group import load_group
from train.models import find_model
from train.predictors.loading import load_model
from train.sharing.card import card_markdown, model_card
from train.sharing.transfer import export_models, import_models

FEW = {"estimator": "KNeighborsRegressor", "n_neighbors": 2}
REQUEST = ViewRequest(lab.PROPERTY, **{**lab.CHOICES, "split": "cv3"})


@pytest.fixture(scope="module")
def trained(
    lab_original: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FeatureStore, str]]:
    """A store with a cross-validation and a model of all its materials; to be read only."""
    folder = tmp_path_factory.mktemp("final") / "store"
    shutil.copytree(lab_original[0] / "store", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(lab_original[0] / "site")
        store = FeatureStore.open(folder)
        add_splits(store, folds=3, property=lab.PROPERTY, name="cv3")
        yield store, train.final(store, REQUEST, "sklearn", **FEW).model.model_id


@pytest.fixture
def final(trained: tuple[FeatureStore, str]) -> str:
    return trained[1]


@pytest.fixture
def read(trained: tuple[FeatureStore, str]) -> FeatureStore:
    return trained[0]


@pytest.fixture
def store(trained: tuple[FeatureStore, str], tmp_path: Path) -> FeatureStore:
    """A copy to write to."""
    shutil.copytree(trained[0].uri, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


@pytest.mark.slow
def test_what_is_stored_of_a_material_is_of_the_model_that_did_not_learn_from_it(
    read: FeatureStore, final: str
) -> None:
    rows = read.sql("FROM predictions WHERE model_id = ? ORDER BY material_id", [final])
    rows = rows.to_pylist()
    assert [row["material_id"] for row in rows] == [f"known-{i:02}" for i in range(lab.N)]
    loaded = load_model(read, final)
    fitted = loaded.predictor
    assert isinstance(fitted, CrossFitted) and len(fitted.of_fold) == 3
    view = read.training_view(lab.PROPERTY, **lab.CHOICES)
    assert view.material_ids == [row["material_id"] for row in rows]
    of_folds = fitted.say_of_folds(fitted.inputs(read, view))
    for row, told in zip(rows, of_folds, strict=True):
        assert row["prediction"] == pytest.approx(told[fitted.fold_of[row["material_id"]]])
        assert row["fold"] == "test" and row["lower"] < row["prediction"] < row["upper"]
    for k in range(3):
        tested = read.sql(
            "SELECT material_id FROM splits WHERE split = ? AND fold = 'test'", [f"cv3/{k}"]
        )["material_id"].to_pylist()
        assert sorted(tested) == sorted(one for one, own in fitted.fold_of.items() if own == k)
    errors = [abs(row["prediction"] - row["target"]) for row in rows]
    folds = loaded.stored.metrics["folds"]
    assert folds["test"]["mae"] == pytest.approx(np.mean(errors))
    assert folds["test"]["n"] == folds["train"]["n"] == lab.N
    assert folds["train"]["mae"] < folds["test"]["mae"]


def test_it_learns_from_all_rows_and_tells_intervals_by_cv_plus(
    store: FeatureStore, final: str, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {"one": 3.313, "two": 5.513})
    told = train.predict(store, files, models=final)
    fitted = load_model(store, final).predictor
    assert isinstance(fitted, CrossFitted)
    view = store.training_view(lab.PROPERTY, **lab.CHOICES)
    group = load_group(store, _group(store, final))
    stored = store.sql("FROM predictions WHERE model_id = ?", [final]).to_pylist()
    residual = {row["material_id"]: abs(row["prediction"] - row["target"]) for row in stored}
    power = group.knowledge.calibration.power
    at = group.knowledge.domain.distances(view.features, view.material_ids).ratio ** power
    scale = dict(zip(view.material_ids, at, strict=True))
    with store.session() as session:
        from featurestore.views.candidates import select_candidates

        selected, _ = select_candidates(session, group.parameters, ["one", "two"])
    new = selected.read()
    fold_of = np.array([fitted.fold_of[one] for one in residual])
    ends = cv_plus(
        fitted.say_of_folds(new.features),
        group.knowledge.domain.distances(new.features, new.material_ids).ratio ** power,
        np.array([value / scale[name] for name, value in residual.items()]),
        fold_of,
    )
    assert ends is not None
    for row, lower, upper in zip(told.rows, *ends, strict=True):
        assert (row.lower, row.upper) == pytest.approx((lower, upper))
        assert row.calibration.startswith("90 % by CV+ over 3 folds of 80 materials")
    from sklearn.neighbors import KNeighborsRegressor

    again = KNeighborsRegressor(n_neighbors=2).fit(view.features, view.targets)
    assert [row.prediction for row in told.rows] == pytest.approx(again.predict(new.features))


@pytest.mark.slow
def test_it_is_found_the_second_time_and_its_seeds_go_together(
    store: FeatureStore, final: str
) -> None:
    again = train.final(store, REQUEST, "sklearn", **FEW)
    assert not again.trained and again.model.model_id == final
    other = train.final(store, REQUEST, "sklearn", seed=1, **FEW).model.model_id
    plain = train.fit(store, replace(REQUEST, split="cv3/all"), "sklearn", seed=2, **FEW)
    group = _group(store, final)
    assert group.model_ids == [final, other] and plain.model.model_id not in group.model_ids
    told = train.predict(store, ids=["known-03"], models=final).rows[0]
    assert len(told.of_seeds) == 2 and told.lower is not None


@pytest.mark.slow
def test_promoted_carded_and_taken_elsewhere(
    store: FeatureStore, final: str, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {"one": 3.313, "far": 30.0})
    here = train.predict(store, files, models=final)
    card = model_card(store, final)
    assert card["intervals"]["method"] == "CV+ over 3 folds"
    assert card["errors"]["materials"] == card["intervals"]["calibrated_by"] == lab.N
    assert "80 materials, each out of fold" in card_markdown(card)
    measured = {row["part"]: row for row in card["intervals"]["test_fold"]}["all"]
    assert measured["n"] == lab.N and 0.8 < measured["covered"] <= 1
    explain.write_report(store, final, tmp_path / "page.html")
    page = check_alone((tmp_path / "page.html").read_text("utf-8"))
    assert "Each prediction here is out of fold" in page.text and "nan" not in page.text.lower()
    path = tmp_path / "final.safetensors"
    export_models(store, final, path)
    elsewhere = FeatureStore.open(tmp_path / "elsewhere", create=True)
    import_models(elsewhere, path)
    assert train.predict(elsewhere, files).rows == here.rows
    assert not [finding for finding in verify(elsewhere) if finding.wrong]
    assert card_markdown(model_card(elsewhere, final)).count("CV+ over 3 folds")


@pytest.mark.slow
def test_the_store_knows_where_it_comes_from_and_what_it_lacks(
    store: FeatureStore, final: str
) -> None:
    with store.session() as session:
        view = model_lineage(session, final).inputs[0]
    assert view.facts["rebuilt"] == "the same, byte for byte"
    assert [lack for lack in train.status(store).lacks if lack.level == "models"] == []
    assert not [finding for finding in verify(store) if finding.wrong]
    with store.run("ingest targets", {}) as run:
        rows = store.sql("FROM properties WHERE material_id = 'known-07'").to_pylist()
        store.merge_rows(
            "properties", [row | {"value": 9.0, "run_id": run.run_id} for row in rows], replace=True
        )
    lacks = {one.name: one for one in train.status(store).lacks if one.level == "models"}
    command = lacks[final].command
    assert command is not None and command[1:4] == ("train", "final", "sklearn")
    assert "cv3" in command


def test_the_models_of_its_folds_are_no_choice_beside_it(read: FeatureStore, final: str) -> None:
    with read.session() as session:
        folds = find_model(session, final).cross_validation["models"]
        with pytest.raises(InvalidInputError, match="has 2 models and none is chosen") as error:
            chosen_group(session, lab.PROPERTY)
    assert final in str(error.value) and not any(one in str(error.value) for one in folds)


def test_explaining_it_is_refused(read: FeatureStore, final: str) -> None:
    from explain.erasing.rows import check_fold

    model = load_model(read, final).stored
    with pytest.raises(InvalidInputError, match="learned from all its materials"):
        check_fold(model, "test")


def test_names_that_are_no_cross_validation(read: FeatureStore) -> None:
    with pytest.raises(UnknownNameError, match="cv3"):
        train.final(read, replace(REQUEST, split="cv5"), "mean")
    with pytest.raises(InvalidInputError, match="is one split"):
        train.cross_validate(read, replace(REQUEST, split=lab.SPLIT), "mean")


def test_materials_that_no_fold_tests(store: FeatureStore) -> None:
    few = "material_id < 'known-02'"
    with pytest.raises(MissingDataError, match="cv3/"):
        train.final(store, replace(REQUEST, where=few), "mean")


@pytest.mark.slow
def test_targets_of_a_single_value(store: FeatureStore) -> None:
    rows = store.sql("FROM properties").to_pylist()
    store.merge_rows("properties", [row | {"value": 2.0} for row in rows], replace=True)
    result = train.final(store, REQUEST, "sklearn", **FEW)
    assert any("training targets are equal" in note for note in result.notes)
    (told,) = train.predict(store, ids=["known-03"], models=result.model.model_id).rows
    assert told.prediction == told.lower == told.upper == 2.0


@pytest.mark.slow
def test_one_crystal_under_two_ids_in_two_folds_is_said(store: FeatureStore) -> None:
    fold = {
        row["material_id"]: row["split"]
        for row in store.sql(
            "SELECT material_id, split FROM splits WHERE fold = 'test' AND split LIKE 'cv3/%'"
        ).to_pylist()
    }
    twin = next(one for one in sorted(fold) if fold[one] != fold["known-01"])
    (structure,) = store.sql("SELECT structure_id FROM materials WHERE material_id = 'known-01'")[
        "structure_id"
    ].to_pylist()
    these, becomes = SQL(f"material_id = {quoted(twin)}"), SQL(quoted(structure))
    store.update("materials", these, {"structure_id": becomes})
    notes = train.final(store, REQUEST, "mean").notes
    assert any("1 structures are in several folds of 'cv3'" in note for note in notes)


@pytest.mark.slow
def test_the_commands(store: FeatureStore) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in lab.CHOICES.items()]
    options = [one.replace("--text-source", "--text").replace("=lab", "=lab") for one in options]
    options = [one for one in options if not one.startswith("--split")]
    options += ["--property", lab.PROPERTY, "--split", "cv3", "--store", str(store.uri)]
    runner = CliRunner()
    for command in ("cross-validate", "final"):
        told = runner.invoke(root, ["train", command, "mean", *options])
        assert told.exit_code == 0, told.output
    said = runner.invoke(root, ["train", "cross-validate", "mean", *options, "--format", "json"])
    rows = json.loads(said.stdout)
    assert [row["n_test"] for row in rows] == [27, 27, 26] and "0 of them new" in said.stderr
    refused = runner.invoke(root, ["train", "final", "mean", *options[:-4], "--split", "cv9"])
    assert refused.exit_code != 0


def _group(store: FeatureStore, name: str):  # type: ignore[no-untyped-def]
    with store.session() as session:
        return named_group(session, name)


def test_coverage_is_that_of_out_of_fold_intervals(read: FeatureStore, final: str) -> None:
    group = load_group(read, _group(read, final))
    table = coverage_of_test_fold(read, group).to_pylist()
    rows = read.sql("FROM predictions WHERE model_id = ?", [final]).to_pylist()
    held = np.mean([row["lower"] <= row["target"] <= row["upper"] for row in rows])
    assert table[0]["covered_by_models"] == pytest.approx(held)
    assert table[0]["mae"] == pytest.approx(
        np.mean([abs(row["prediction"] - row["target"]) for row in rows])
    )
