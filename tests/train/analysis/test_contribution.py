"""A contribution to the JARVIS-Leaderboard is whole."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner

import train
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore
from featurestore.views.request import ViewRequest


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, str]:
    store = toy.make_store(tmp_path_factory.mktemp("contribution") / "store", 20)
    request = ViewRequest(toy.PROPERTY, **toy.view_request("structure"))
    return store, train.fit(store, request, "median").model.model_id


BY = [
    "--team",
    "lab",
    "--email",
    "a@lab.org",
    "--url",
    "https://doi.org/x",
    "--hardware",
    "2 cores",
]
BY += ["--git-url", "https://example.org/code", "--database-version", "12-12-2022"]


def test_predictions_metadata_and_script(trained, tmp_path: Path):
    store, model = trained
    folder = tmp_path / "lab_median"
    arguments = ["train", "leaderboard", model, "--store", store.uri, "--contribution", str(folder)]
    lacking = CliRunner().invoke(root, arguments)
    assert lacking.exit_code == 2 and "it needs --team, --email" in lacking.output
    done = CliRunner().invoke(root, [*arguments, *BY], catch_exceptions=False)
    assert done.exit_code == 0
    name = "AI-SinglePropertyPrediction-mbj_bandgap-toy-test-mae.csv"
    with zipfile.ZipFile(folder / f"{name}.zip") as archive:
        assert len(archive.read(name).splitlines()) == 1 + 4
    said = json.loads((folder / "metadata.json").read_text("utf-8"))
    assert (said["model_name"], said["team_name"]) == ("lab_median", "lab")
    assert said["git_url"] == ["https://example.org/code"] and "torch==" in said["software_used"]
    script = (folder / "run.sh").read_text("utf-8")
    assert "featurestore train fit median --property mbj_bandgap" in script and model in script
    with pytest.raises(InvalidInputError, match="is there already"):
        CliRunner().invoke(root, [*arguments, *BY], catch_exceptions=False)
