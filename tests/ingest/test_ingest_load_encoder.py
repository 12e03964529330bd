"""From a name or folder to the loader of its kind of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_encoders import FakeEncoder

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from ingest.encoders.load import load_encoder

ALIGNN = {"model": {"name": "alignn_atomwise"}}
BERT = {"model_type": "bert"}


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What either loader was called with."""
    import ingest.encoders.alignn.encoder
    import ingest.encoders.bert.encoder

    calls: list[dict[str, Any]] = []

    def loader(kind: str) -> Any:
        def load(folder: Path, **options: Any) -> FakeEncoder:
            calls.append({"kind": kind, "folder": folder, **options})
            return FakeEncoder("structure" if kind == "alignn" else "text")

        return load

    monkeypatch.setattr(ingest.encoders.alignn.encoder, "load_alignn_encoder", loader("alignn"))
    monkeypatch.setattr(ingest.encoders.bert.encoder, "load_bert_encoder", loader("bert"))
    return calls


def folder(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "my-weights"
    path.mkdir()
    text = content if isinstance(content, str) else json.dumps(content)
    (path / "config.json").write_text(text)
    return path


@pytest.mark.parametrize(("config", "kind"), [(ALIGNN, "alignn"), (BERT, "bert")])
def test_the_configuration_decides(tmp_path, loaded, config, kind):
    path = folder(tmp_path, config)
    load_encoder(str(path), precision="bfloat16")
    [call] = loaded
    assert (call["kind"], Path(call["folder"]), call["name"]) == (kind, path, "my-weights")
    assert (call["precision"], call["device"]) == ("bfloat16", "cpu")


_NONE = "none of the encoders aligned-structure, aligned-text, alignn, bert recognises"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "config.json is not JSON"),
        ([1], "holds no JSON object"),
        ({"hidden": 3}, _NONE),
        ({"model": "alignn"}, _NONE),
    ],
)
def test_another_configuration_is_named(tmp_path, loaded, config, message):
    path = folder(tmp_path, config)
    with pytest.raises(InvalidInputError, match=message) as raised:
        load_encoder(str(path))
    assert str(path) in str(raised.value) and loaded == []


def test_a_folder_without_a_configuration(tmp_path, loaded):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match=r"holds no config\.json"):
        load_encoder(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("alignn-ff", MissingDataError, "featurestore models pull alignn-ff"),
        ("alignn-f", UnknownNameError, "did you mean 'alignn-ff'"),
        ("someone/some-bert", MissingDataError, "featurestore models pull someone/some-bert"),
    ],
)
def test_weights_that_are_not_here(tmp_path, monkeypatch, loaded, name, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        load_encoder(name)


@pytest.mark.parametrize(
    ("config", "settings"), [(ALIGNN, {"pooling": "cls"}), (BERT, {"backend": "dgl"})]
)
def test_a_setting_of_the_other_kind(tmp_path, loaded, config, settings):
    with pytest.raises(UnknownNameError, match=f"unknown setting .*{next(iter(settings))}"):
        load_encoder(str(folder(tmp_path, config)), **settings)
    assert loaded == []
