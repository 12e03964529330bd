"""Runs of MLflow say what the store keeps, once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner

import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest
from train.mlflow import TAG, MlflowRuns
from train.models import StoredModel, stored_history


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, StoredModel]:
    store = toy.make_store(tmp_path_factory.mktemp("mlflow") / "store", 20)
    request = ViewRequest(toy.PROPERTY, **toy.view_request("structure"))
    return store, train.fit(store, request, "gbt", max_epochs=3).model


def test_without_the_package_the_error_says_how_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingDataError, match=r"pip install 'materials-featurestore\[mlflow\]'"):
        MlflowRuns()


def test_what_comes_after_a_training_is_called_with_its_model(trained) -> None:
    store, model = trained
    request = ViewRequest(toy.PROPERTY, **toy.view_request("structure"))
    seen: list[str] = []
    train.fit(store, request, "gbt", max_epochs=3, then=lambda _, one: seen.append(one.model_id))
    assert seen == [model.model_id]


def test_a_run_holds_settings_errors_and_every_epoch_and_is_written_once(
    trained, tmp_path: Path
) -> None:
    mlflow = pytest.importorskip("mlflow")
    store, model = trained
    runs = MlflowRuns(str(tmp_path / "runs"))
    client = mlflow.MlflowClient(tracking_uri=runs.to)
    killed = client.create_run(client.create_experiment(toy.PROPERTY), tags={TAG: model.model_id})
    arguments = ["train", "mlflow", "--to", runs.to, "--store", store.uri]
    done = CliRunner().invoke(root, arguments, catch_exceptions=False)
    assert "1 written, 0 already there" in done.output
    again = CliRunner().invoke(root, arguments, catch_exceptions=False)
    assert "0 written, 1 already there" in again.output
    there = client.search_runs([killed.info.experiment_id], f"tags.`{TAG}` = '{model.model_id}'")
    assert {run.info.status for run in there} == {"FINISHED", "KILLED"} and len(there) == 2
    (run,) = (run for run in there if run.info.status == "FINISHED")
    assert run.data.params["predictor"] == "gbt" and run.data.params["setting.max_epochs"] == "3"
    assert run.data.metrics["test_mae"] == model.error()
    with store.session() as session:
        history = stored_history(session, model.model_id)
        assert not runs(session, model)
    told = client.get_metric_history(run.info.run_id, "epoch/val_mae")
    assert [(one.step, one.value) for one in told] == [(e["epoch"], e["val_mae"]) for e in history]
    client.delete_experiment(killed.info.experiment_id)
    with store.session() as session, pytest.raises(InvalidInputError, match="was deleted"):
        runs(session, model)
