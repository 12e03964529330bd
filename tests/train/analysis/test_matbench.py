"""Matbench's folds become files of folds, and predictions of them a submission's results."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import synthetic_store as toy
from click.testing import CliRunner

import ingest
import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.store import FeatureStore
from featurestore.upkeep.derivation import derive
from featurestore.views.request import ViewRequest
from train.analysis import matbench
from train.analysis import matbench_submission as submission
from train.models import find_models

TASK = "matbench_jdft2d"


def validation(folder: Path, folds: dict[str, list[str]], task: str = TASK) -> Path:
    """A file of Matbench's form with these test materials of all that any fold has."""
    everything = sorted({one for test in folds.values() for one in test})
    splits = {
        name: {"train": [one for one in everything if one not in test], "test": test}
        for name, test in folds.items()
    }
    path = folder / "validation.json"
    path.write_text(json.dumps({"metadata": {}, "splits": {task: splits}}), "utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, list[str], Path]:
    """Models of two splits, and the folds that their test materials are."""
    folder = tmp_path_factory.mktemp("matbench")
    store = toy.make_store(folder / "store", 20)
    models, folds = [], {}
    for number in range(2):
        ingest.add_splits(
            store, random="60/20/20", seed=number, property=toy.PROPERTY, name=f"f{number}"
        )
        request = ViewRequest(
            toy.PROPERTY, **(toy.view_request("structure") | {"split": f"f{number}"})
        )
        models.append(train.fit(store, request, "median").model.model_id)
        rows = store.sql(
            "SELECT material_id FROM splits WHERE split = ? AND fold = 'test' ORDER BY ALL",
            [f"f{number}"],
        )
        folds[f"fold_{number}"] = rows["material_id"].to_pylist()
    return store, models, validation(folder, folds)


def hashed(content: dict[str, Any]) -> str:
    """As matbench 0.6 does it in its own words: keys sorted at every level, JSON, SHA-256."""

    def fixed(value: dict[str, Any]) -> dict[str, Any]:
        return dict(sorted((k, fixed(v) if isinstance(v, dict) else v) for k, v in value.items()))

    return hashlib.sha256(json.dumps(fixed(content)).encode("utf-8")).hexdigest()


def test_results_are_of_the_packages_form_and_its_hash_holds(trained, tmp_path: Path) -> None:
    store, models, folds = trained
    path = tmp_path / "results.json.gz"
    arguments = ["train", "matbench", "results", TASK, *reversed(models), "--algorithm", "median"]
    arguments += ["--validation", str(folds), "-o", str(path), "--store", store.uri]
    done = CliRunner().invoke(root, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    content = json.loads(gzip.decompress(path.read_bytes()))
    assert content.pop("hash") == hashed(content)
    assert set(content) == {
        *("@module", "@class", "version", "tasks", "user_metadata", "benchmark_name", "datestamp")
    }
    assert content["user_metadata"]["algorithm"] == "median"
    task = content["tasks"][TASK]
    assert (task["@class"], task["dataset_name"]) == ("MatbenchTask", TASK)
    with store.session() as session:
        stored = find_models(session, models)
    for model, fold in zip(stored, ("fold_0", "fold_1"), strict=True):
        said = task["results"][fold]
        assert set(said) == {"data", "parameters", "scores", "uncertainty"}
        assert said["parameters"]["model_id"] == model.model_id
        assert said["scores"]["mae"] == pytest.approx(model.error(), rel=1e-12)
        assert set(said["scores"]) == {"mae", "rmse", "mape", "max_error"}
        predicted = store.sql(
            "SELECT material_id, prediction FROM predictions WHERE model_id = ? AND fold = 'test'",
            [model.model_id],
        ).to_pylist()
        assert said["data"] == {row["material_id"]: row["prediction"] for row in predicted}


def test_a_task_of_true_and_false_has_probabilities_and_its_own_scores(
    trained, tmp_path: Path
) -> None:
    store, numbers, _ = trained
    task, folds, models = "matbench_mp_is_metal", {}, []
    derive(store, "is_metal", f"{toy.PROPERTY} > 0")
    for number in range(2):
        ingest.add_splits(store, like=toy.PROPERTY, name=f"f{number}", property="is_metal")
        request = ViewRequest(
            "is_metal", **(toy.view_request("structure") | {"split": f"f{number}"})
        )
        fitted = train.fit(store, request, "sklearn", estimator="LogisticRegression")
        models.append(fitted.model.model_id)
        rows = store.sql(
            "SELECT material_id FROM splits WHERE split = ? AND property = 'is_metal' "
            "AND fold = 'test' ORDER BY ALL",
            [f"f{number}"],
        )
        folds[f"fold_{number}"] = rows["material_id"].to_pylist()
    of = matbench.read_folds(validation(tmp_path, folds, task), task)
    with store.session() as session:
        found = find_models(session, models)
        scores = submission.write_results(session, found, of, tmp_path / "r.json", {})
        with pytest.raises(
            InvalidInputError, match=r"matbench_mp_is_metal are true and false.*numb"
        ):
            submission.write_results(session, find_models(session, numbers), of, tmp_path / "n", {})
    said = json.loads((tmp_path / "r.json").read_text("utf-8"))["tasks"][task]["results"]
    for model, fold in zip(models, said.values(), strict=True):
        rows = store.sql(
            "SELECT material_id, target, probabilities[2] AS p FROM predictions "
            "WHERE model_id = ? AND fold = 'test'",
            [model],
        ).to_pylist()
        assert fold["data"] == {row["material_id"]: row["p"] for row in rows}
        right = [(row["p"] > 0.5) == (row["target"] == 1.0) for row in rows]
        assert fold["scores"]["accuracy"] == pytest.approx(sum(right) / len(right))
        assert set(fold["scores"]) == {"accuracy", "balanced_accuracy", "f1", "rocauc"}
    assert set(scores) == set(folds)


def test_a_submission_says_what_it_is(trained, tmp_path: Path) -> None:
    store, models, _ = trained
    path, cited = tmp_path / "info.json", tmp_path / "cited.bib"
    cited.write_text("@article{a}", "utf-8")
    arguments = ["train", "matbench", "info", *models, "--algorithm", "median", "-o", str(path)]
    arguments += ["--authors", "A. Äuthor", "--bibtex", str(cited), "--store", store.uri]
    done = CliRunner().invoke(root, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    content = json.loads(path.read_text("utf-8"))
    # What scripts/test_submission.py of matbench 0.6 asks for.
    assert set(content) == {
        *("authors", "algorithm", "algorithm_long", "bibtex_refs", "notes", "requirements")
    }
    assert (content["authors"], content["bibtex_refs"]) == ("A. Äuthor", "@article{a}")
    assert content["algorithm_long"].startswith("median on structure")
    assert any(one.startswith("torch==") for one in content["requirements"]["python"])
    with store.session() as session:
        found = find_models(session, models)
    with pytest.raises(InvalidInputError, match="names its authors"):
        submission.write_info(found, path, "median", " ")


def test_what_is_no_fold_or_lacks_one_is_refused(trained, tmp_path: Path) -> None:
    store, models, path = trained
    folds = matbench.read_folds(path, TASK)
    with store.session() as session:
        found = find_models(session, models)
        with pytest.raises(MissingDataError, match="no model is of fold_1"):
            submission.write_results(session, found[:1], folds, tmp_path / "r.json", {})
        with pytest.raises(InvalidInputError, match="two models are of fold_0"):
            submission.write_results(session, [found[0], found[0]], folds, tmp_path / "r.json", {})
        short = {"fold_0": list(folds.folds["fold_0"][1])[:-1]}
        other = matbench.read_folds(validation(tmp_path, short), TASK)
        with pytest.raises(InvalidInputError, match="1 are not of fold_0"):
            submission.write_results(session, found[:1], other, tmp_path / "r.json", {})
    assert not (tmp_path / "r.json").exists()


def test_fold_files_count_from_zero_and_share_nothing(tmp_path: Path) -> None:
    test = [f"mb-jdft2d-{number:03d}" for number in range(1, 41)]
    wheel = tmp_path / "matbench.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(
            validation(tmp_path, {"fold_0": test[:20], "fold_1": test[20:]}), matbench.VALIDATION
        )
    arguments = ["train", "matbench", "folds", TASK, "--validation", str(wheel)]
    done = CliRunner().invoke(root, [*arguments, "-o", str(tmp_path / "folds")])
    assert done.exit_code == 0, done.output
    for number in range(2):
        path = tmp_path / "folds" / f"{TASK}_fold_{number}.json"
        content = json.loads(path.read_text("utf-8"))
        assert content["id_test"] == [f"{TASK}/{i}" for i in range(20 * number, 20 * number + 20)]
        together = [*content["id_train"], *content["id_val"], *content["id_test"]]
        assert sorted(together) == sorted(f"{TASK}/{i}" for i in range(40))
        assert len(content["id_val"]) == 2
    assert [matbench.mbid(f"{TASK}/{i}", TASK) for i in (0, 635)] == [
        *("mb-jdft2d-001", "mb-jdft2d-636")
    ]


def test_a_file_of_another_form_and_an_unknown_task_are_named(tmp_path: Path) -> None:
    path = tmp_path / "validation.json"
    path.write_text("{}", "utf-8")
    with pytest.raises(InvalidInputError, match=r"pip download --no-deps matbench==0\.6"):
        matbench.read_folds(path, TASK)
    with pytest.raises(UnknownNameError, match="matbench_steels"):
        matbench.read_folds(path, "matbench_steels")
