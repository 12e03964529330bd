"""The registry file, the cache's place, and the commands."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from featurestore.errors import MissingDataError, UnknownNameError
from ingest.cli.models import models
from ingest.weights.cache import find_weights, weights_folder, weights_root
from ingest.weights.registry import LocalSource, PackageSource, is_hub_id, registry


def test_every_entry_is_complete():
    for name, weights in registry().items():
        assert weights.name == name
        assert weights.kind in ("structure", "text")
        assert weights.dimension in (384, 768)
        assert weights.licence
        assert weights.note
        assert weights.files
        assert str(weights.source)
        for sha256 in weights.files.values():
            assert sha256 is None or re.fullmatch("[0-9a-f]{64}", sha256)


def test_what_the_package_index_carries_is_pinned():
    for weights in registry().values():
        if isinstance(weights.source, PackageSource):
            assert all(weights.files.values())
            assert all("==" in requirement for requirement in weights.source.requirements)


def test_the_names_of_the_brief_are_there():
    names = {"alignn-ff", "minilm", "mpnet", "bert-base-uncased", "matbert", "scibert"}
    assert names | {"mp_e_form_alignn", "jv_slme_alignn"} <= set(registry())
    assert isinstance(registry()["matbert"].source, LocalSource)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("allenai/scibert_scivocab_uncased", True),
        ("minilm", False),
        ("./folder", False),
        ("../folder", False),
        ("~/folder", False),
        ("/folder", False),
        ("a/b/c", False),
        ("a/", False),
    ],
)
def test_hub_ids_are_told_from_paths(name, expected):
    assert is_hub_id(name) == expected


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path))
    assert weights_root() == tmp_path / "weights"
    monkeypatch.delenv("FEATURESTORE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_root() == tmp_path / "featurestore" / "weights"


def test_a_folder_of_the_user_is_taken_as_it_is(tmp_path):
    assert weights_folder(tmp_path) == tmp_path
    assert weights_folder(str(tmp_path)) == tmp_path
    assert find_weights("minilm") is None


def test_missing_weights_are_told_from_unknown_ones(tmp_path):
    with pytest.raises(MissingDataError, match="featurestore models pull mpnet"):
        weights_folder("mpnet")
    with pytest.raises(UnknownNameError, match="did you mean 'mpnet'"):
        weights_folder("mpnett")
    with pytest.raises(UnknownNameError, match="no folder of that name"):
        weights_folder(tmp_path / "nowhere")


def test_list_names_every_entry():
    table = CliRunner().invoke(models, ["list"])
    assert table.exit_code == 0
    assert all(name in table.output for name in registry())
    rows = json.loads(CliRunner().invoke(models, ["list", "--format", "json"]).output)
    first = rows[0]
    assert (first["name"], first["kind"], first["dimension"]) == ("alignn-ff", "structure", 768)
    assert (first["pulled"], first["folder"]) == (False, None)


def test_pull_says_what_it_did_and_which_checksums_it_took_on_trust(tmp_path):
    for name in ("config.json", "pytorch_model.bin", "vocab.txt"):
        (tmp_path / name).write_text(name)
    result = CliRunner().invoke(models, ["pull", "matbert", "--from", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "matbert: pulled, 3 files checked" in result.output
    assert "no checksum for these files" in result.output
    assert "already here" in CliRunner().invoke(models, ["pull", "matbert"]).output
    rows = json.loads(CliRunner().invoke(models, ["list", "--format", "json"]).output)
    [row] = [row for row in rows if row["pulled"]]
    assert row["name"] == "matbert"


def test_help_shows_an_example():
    for arguments in (["-h"], ["list", "-h"], ["pull", "-h"]):
        result = CliRunner().invoke(models, arguments)
        assert result.exit_code == 0
        assert "Example" in result.output


@pytest.mark.weights
def test_pulled_weights_still_have_their_checksums(monkeypatch):
    monkeypatch.undo()
    found = [name for name in registry() if find_weights(name)]
    if not found:
        pytest.skip("run `featurestore models pull alignn-ff`")
    for name in found:
        result = CliRunner().invoke(models, ["pull", name])
        assert "already here" in result.output, result.output
