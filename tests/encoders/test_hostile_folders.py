"""A folder of weights cannot block, fill the memory or end the process before it is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tiny_alignn import write_tiny_alignn
from tiny_bert import write_tiny_bert

from featurestore.errors import InvalidInputError
from featurestore.files import check_regular, read_json, read_regular, read_toml
from featurestore.registry import load_registry
from ingest.encoders.load import load_encoder
from ingest.library.targets import opened_targets
from ingest.stages.splits import read_split_file


@pytest.fixture(params=["alignn", "bert"])
def folder(request, tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    (write_tiny_alignn if request.param == "alignn" else write_tiny_bert)(path)
    return path


def hostile_file(path: Path, how: str) -> None:
    path.unlink(missing_ok=True)
    if how == "fifo":
        os.mkfifo(path)
    elif how == "device":
        path.symlink_to("/dev/zero")
    elif how == "folder":
        path.mkdir()
    elif how == "deep":
        path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    elif how == "deep list":
        path.write_text("[" * 100_000)
    elif how == "huge":
        with path.open("wb") as file:
            file.truncate(100 * 2**30)  # a sparse file
    elif how == "huge number":
        path.write_text('{"hidden_size": ' + "9" * 5000 + "}")
    else:
        path.write_bytes({"bytes": b"\xff\xfe\x00", "null": b"null", "list": b"[]"}[how])


HOW = (
    "fifo",
    "device",
    "folder",
    "deep",
    "deep list",
    "huge",
    "huge number",
    "bytes",
    "null",
    "list",
)


@pytest.mark.parametrize("how", HOW)
def test_a_hostile_configuration(folder, how):
    hostile_file(folder / "config.json", how)
    with pytest.raises(InvalidInputError, match=r"config\.json|weights"):
        load_encoder(str(folder))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "vocab.txt"])
@pytest.mark.parametrize("how", ["fifo", "device", "huge"])
def test_a_hostile_tokenizer(tmp_path, name, how):
    write_tiny_bert(tmp_path / "weights")
    hostile_file(tmp_path / "weights" / name, how)
    with pytest.raises(InvalidInputError):
        load_encoder(str(tmp_path / "weights"))


@pytest.mark.parametrize(
    "size", ["hidden_features", "alignn_layers", "gcn_layers", "embedding_features"]
)
@pytest.mark.parametrize("value", [10**7, 10**30, -1, 60_000, "x", None, 1e308])
def test_an_alignn_of_absurd_sizes(tmp_path, size, value):
    path = write_tiny_alignn(tmp_path / "weights").parent
    config = json.loads((path / "config.json").read_text())
    config["model"][size] = value
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInputError, match=r"config\.json|weights|pt"):
        load_encoder(str(path))


@pytest.mark.parametrize(
    "size", ["hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"]
)
@pytest.mark.parametrize("value", [10**7, 10**30, -1, 100_000, "x", None])
def test_a_bert_of_absurd_sizes(tmp_path, size, value):
    path = tmp_path / "weights"
    write_tiny_bert(path)
    config = json.loads((path / "config.json").read_text())
    config[size] = value
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInputError):
        load_encoder(str(path))


@pytest.mark.parametrize("how", ["fifo", "device", "folder", "deep", "deep list", "bytes"])
def test_other_files_of_users(tmp_path, how):
    path = tmp_path / "file.json"
    hostile_file(path, how)
    readers = (
        read_split_file,
        lambda one: load_registry(one),
        lambda one: opened_targets(one, load_registry()),
        read_json,
        read_toml,
    )
    for reader in readers:
        with pytest.raises(InvalidInputError, match="file"):
            reader(path)


def test_limits_are_to_the_byte(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_regular(path, 10) == b"x" * 10
    check_regular(path, 10)
    for read in (read_regular, check_regular):
        with pytest.raises(InvalidInputError, match="more than"):
            read(path, 9)
        with pytest.raises(InvalidInputError, match="cannot read"):
            read(tmp_path / "nothing", 9)
        with pytest.raises(InvalidInputError):
            read(Path("a\0b"), 9)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert read_regular(link, 10) == b"x" * 10
    shutil.rmtree(tmp_path)
