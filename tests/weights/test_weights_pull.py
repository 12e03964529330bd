"""Pulling from each kind of source: whole and checked, or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from featurestore.errors import InvalidInputError, StorageError, UnknownNameError
from ingest.weights import archives, sources
from ingest.weights.cache import RECORD, find_weights, weights_folder
from ingest.weights.package_index import DownloadError
from ingest.weights.pull import pull
from ingest.weights.registry import FigshareSource, HubSource, LocalSource, PackageSource

MODEL, CONFIG = b"weights" * 100, b'{"model": {}}'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def nothing_is_left(cache_root) -> bool:
    return not [path for path in cache_root.rglob("*") if path.is_file()]


# Wheels.


def test_files_of_a_wheel_are_pulled_once(enter, package_index, cache_root, monkeypatch):
    package_index("my-model", {"my_model/x/model.pt": MODEL, "my_model/config.json": b"another"})
    source = PackageSource(("my-model==1.0",), "my_model/x")
    enter("mine", source, {"model.pt": sha256(MODEL)})
    assert find_weights("mine") is None
    lines = []
    pulled = pull("mine", report=lines.append)
    assert pulled.new
    assert pulled.unpinned == ()
    assert lines == ["fetching mine from package index: my-model==1.0"]
    assert pulled.folder == cache_root / "mine" == find_weights("mine") == weights_folder("mine")
    assert (pulled.folder / "model.pt").read_bytes() == MODEL
    assert sorted(p.name for p in pulled.folder.iterdir()) == ["model.pt", RECORD]
    assert sorted(p.name for p in cache_root.iterdir()) == [".pieces", "mine"]
    assert list((cache_root / ".pieces").iterdir()) == []
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert not pull("mine").new


def test_a_cache_that_cannot_be_written_is_named(enter, tmp_path, monkeypatch):
    enter("mine", LocalSource(), {"model.pt": sha256(MODEL)})
    (tmp_path / "model.pt").write_bytes(MODEL)
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "model.pt"))
    with pytest.raises(StorageError, match=r"cannot be put into the cache .*model\.pt/weights"):
        pull("mine", tmp_path)


def test_a_full_disk_leaves_no_half_weights_and_is_told_from_a_network(
    enter, package_index, cache_root, tmp_path, monkeypatch
):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    enter("mine", LocalSource(), {"model.pt": sha256(MODEL)})
    (tmp_path / "model.pt").write_bytes(MODEL)
    with monkeypatch.context() as patch:
        patch.setattr("ingest.weights.pull.write_record", raising(full))
        with pytest.raises(StorageError, match=r"No space left .* make room"):
            pull("mine", tmp_path)
    assert find_weights("mine") is None and nothing_is_left(cache_root)
    enter("other", PackageSource(("my-model==1.0",), "x"), {"model.pt": sha256(MODEL)})
    said = subprocess.CompletedProcess([], 1, "", f"ERROR: Could not install: {full}")

    def half(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        (Path(command[command.index("--dest") + 1]) / "half.whl").write_bytes(MODEL[:9])
        return said

    monkeypatch.setattr(subprocess, "run", half)
    with pytest.raises(DownloadError, match=r"TMPDIR.* make room there"):
        pull("other")
    assert nothing_is_left(cache_root)
    said.stderr = "error: incomplete-download\n\n× Download failed after 6 attempts\nnote: ...\n"
    with pytest.raises(DownloadError, match="index: Download failed after 6 attempts; check the"):
        pull("other")


def raising(error: OSError):
    def raises(*_):
        raise error

    return raises


def test_a_zip_file_in_parts_is_joined(enter, package_index):
    whole = zipped({"big/model.pt": MODEL})
    parts = whole[:300], whole[300:500], whole[500:]
    for number, part in enumerate(parts, start=1):
        package_index(f"part-{number}", {f"part{number}/data/big.zip.00{number}": part})
    requirements = tuple(f"part-{number}==1.0" for number in (1, 2, 3))
    enter("big", PackageSource(requirements, "big", "big.zip."), {"model.pt": sha256(MODEL)})
    assert (pull("big").folder / "model.pt").read_bytes() == MODEL


def test_a_pull_goes_on_after_an_interruption(enter, package_index, tmp_path):
    whole = zipped({"big/model.pt": MODEL})
    package_index("part-1", {"part1/big.zip.001": whole[:300]})
    source = PackageSource(("part-1==1.0", "part-2==1.0"), "big", "big.zip.")
    enter("big", source, {"model.pt": sha256(MODEL)})
    with pytest.raises(DownloadError, match=r"could not fetch part-2==1\.0"):
        pull("big")
    assert find_weights("big") is None
    (tmp_path / "index" / "part_1-1.0-py3-none-any.whl").unlink()
    package_index("part-2", {"part2/big.zip.002": whole[300:]})
    assert (pull("big").folder / "model.pt").read_bytes() == MODEL


def test_a_wrong_checksum_is_refused_and_nothing_is_left(enter, package_index, cache_root):
    package_index("my-model", {"m/model.pt": b"something else"})
    enter("mine", PackageSource(("my-model==1.0",), "m"), {"model.pt": sha256(MODEL)})
    with pytest.raises(InvalidInputError, match=r"model\.pt .* has SHA-256 .*, expected"):
        pull("mine")
    assert find_weights("mine") is None
    assert nothing_is_left(cache_root)


def test_a_wheel_without_the_file_is_refused(enter, package_index, cache_root):
    package_index("my-model", {"m/other.pt": MODEL})
    enter("mine", PackageSource(("my-model==1.0",), "m"), {"model.pt": sha256(MODEL)})
    with pytest.raises(InvalidInputError, match=r"has no member 'm/model\.pt'"):
        pull("mine")
    assert nothing_is_left(cache_root)


def test_a_member_over_the_size_limit_is_refused(enter, package_index, cache_root, monkeypatch):
    monkeypatch.setattr(archives, "MAXIMUM_BYTES", 10)
    package_index("my-model", {"m/model.pt": MODEL})
    enter("mine", PackageSource(("my-model==1.0",), "m"), {"model.pt": sha256(MODEL)})
    with pytest.raises(InvalidInputError, match="over the limit of 10"):
        pull("mine")
    assert nothing_is_left(cache_root)


def test_an_unknown_package_names_pips_reason(enter, package_index):
    enter("mine", PackageSource(("no-such-model==1.0",), "m"), {"model.pt": None})
    with pytest.raises(DownloadError, match="No matching distribution found"):
        pull("mine")


# figshare.


@pytest.fixture
def figshare(site, monkeypatch):
    monkeypatch.setattr(sources, "FIGSHARE", site.url)
    return site


ALIGNN_FILES = {"best_model.pt": None, "config.json": None}


def test_an_alignn_zip_file_is_pulled_and_its_checksums_recorded(enter, figshare):
    members = {
        "zoo/config.json": CONFIG,
        "zoo/checkpoint_90.pt": b"old",
        "zoo/checkpoint_300.pt": MODEL,
        "__MACOSX/zoo/._config.json": b"",
    }
    figshare.pages["/42"] = zipped(members)
    enter("zoo_alignn", FigshareSource(42), ALIGNN_FILES)
    pulled = pull("zoo_alignn")
    assert (pulled.folder / "best_model.pt").read_bytes() == MODEL
    assert (pulled.folder / "config.json").read_bytes() == CONFIG
    assert pulled.unpinned == ("best_model.pt", "config.json")
    record = json.loads((pulled.folder / RECORD).read_text())
    assert record["files"] == {"best_model.pt": sha256(MODEL), "config.json": sha256(CONFIG)}
    assert not pull("zoo_alignn").new
    (pulled.folder / "best_model.pt").write_bytes(b"changed")
    with pytest.raises(InvalidInputError, match=r"best_model\.pt has changed"):
        pull("zoo_alignn")
    (pulled.folder / "best_model.pt").unlink()
    with pytest.raises(InvalidInputError, match=r"best_model\.pt is missing"):
        pull("zoo_alignn")


def test_a_path_out_of_the_folder_stays_inside(enter, figshare, cache_root, tmp_path):
    figshare.pages["/42"] = zipped({"../../../config.json": CONFIG, "/best_model.pt": MODEL})
    enter("zoo_alignn", FigshareSource(42), ALIGNN_FILES)
    folder = pull("zoo_alignn").folder
    outside = [p for p in tmp_path.rglob("config.json") if folder not in p.parents]
    assert outside == []
    assert (folder / "config.json").read_bytes() == CONFIG


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"config.json": CONFIG}, r"expected one file 'best_model\.pt'.*found 0"),
        ({"best_model.pt": MODEL}, r"expected one file 'config\.json'.*found 0"),
        (
            {"a/config.json": CONFIG, "b/config.json": CONFIG, "a/best_model.pt": MODEL},
            "found 2",
        ),
    ],
)
def test_a_zip_file_of_another_layout_is_refused(enter, figshare, cache_root, members, message):
    figshare.pages["/42"] = zipped(members)
    enter("zoo_alignn", FigshareSource(42), ALIGNN_FILES)
    with pytest.raises(InvalidInputError, match=message):
        pull("zoo_alignn")
    assert nothing_is_left(cache_root)


def test_a_damaged_zip_file_is_refused(enter, figshare, cache_root):
    figshare.pages["/42"] = zipped({"config.json": CONFIG, "best_model.pt": MODEL})[:-30]
    enter("zoo_alignn", FigshareSource(42), ALIGNN_FILES)
    with pytest.raises(InvalidInputError, match=r"42\.zip is not a whole zip file"):
        pull("zoo_alignn")
    assert nothing_is_left(cache_root)


def test_a_broken_connection_leaves_nothing(enter, figshare, cache_root):
    figshare.pages["/42"] = zipped({"config.json": CONFIG, "best_model.pt": MODEL})
    figshare.cut_short = True
    enter("zoo_alignn", FigshareSource(42), ALIGNN_FILES)
    with pytest.raises(DownloadError, match=r"could not fetch http://.*/42: .*`--from`"):
        pull("zoo_alignn")
    assert nothing_is_left(cache_root)
    figshare.cut_short = False
    assert pull("zoo_alignn").new


def test_a_server_that_does_not_know_the_file_is_named(enter, figshare):
    enter("zoo_alignn", FigshareSource(43), ALIGNN_FILES)
    with pytest.raises(DownloadError, match="404"):
        pull("zoo_alignn")


# Hugging Face.


@pytest.fixture
def hub(site, monkeypatch):
    """A site with the two routes of the hub that a download takes."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", site.url)
    template = site.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    site.headers["X-Repo-Commit"] = "0" * 40
    files = {
        "config.json": CONFIG,
        "vocab.txt": b"[PAD]\n",
        "tokenizer_config.json": b"{}",
        "model.safetensors": MODEL,
        "pytorch_model.bin": b"not wanted",
        "tf_model.h5": b"not wanted",
    }
    for name, data in files.items():
        site.pages[f"/owner/bert/resolve/main/{name}"] = data
    site.pages["/api/models/owner/bert/tree/main"] = json.dumps(
        [{"type": "file", "path": n, "size": len(d), "oid": "0"} for n, d in files.items()]
    ).encode()
    return site


def test_named_files_of_a_hub_repository_are_pulled(enter, hub):
    enter("bert", HubSource("owner/bert"), {"config.json": None, "vocab.txt": None})
    pulled = pull("bert")
    assert pulled.sha256 == {"config.json": sha256(CONFIG), "vocab.txt": sha256(b"[PAD]\n")}
    assert (pulled.folder / "config.json").read_bytes() == CONFIG


def test_a_repository_outside_the_registry_is_pulled_by_its_id(hub, cache_root):
    pulled = pull("owner/bert")
    assert pulled.folder == cache_root / "owner--bert" == weights_folder("owner/bert")
    assert set(pulled.sha256) == {
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "vocab.txt",
    }
    assert set(pulled.unpinned) == set(pulled.sha256)
    assert not pull("owner/bert").new


def test_a_repository_without_a_model_is_refused(hub):
    hub.pages["/api/models/owner/bert/tree/main"] = b"[]"
    with pytest.raises(InvalidInputError, match="holds no BERT-family model"):
        pull("owner/bert")


def test_a_hub_file_with_a_wrong_checksum_is_refused(enter, hub, cache_root):
    enter("bert", HubSource("owner/bert"), {"config.json": sha256(b"other")})
    with pytest.raises(InvalidInputError, match=r"config\.json .* has SHA-256"):
        pull("bert")
    assert nothing_is_left(cache_root)


def test_a_missing_repository_is_an_error_of_ours(enter, hub):
    enter("bert", HubSource("owner/none"), {"config.json": None})
    with pytest.raises(DownloadError, match="could not fetch owner/none from the Hugging Face hub"):
        pull("bert")


# Local folders.


def test_files_are_copied_from_a_local_folder(enter, tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("config.json", "vocab.txt", "notes.txt"):
        (tmp_path / "mine" / name).write_bytes(name.encode())
    enter("matbert", LocalSource(), {"config.json": None, "vocab.txt": None})
    with pytest.raises(InvalidInputError, match=r"cannot be downloaded.*`--from FOLDER`"):
        pull("matbert")
    pulled = pull("matbert", tmp_path / "mine")
    assert set(pulled.sha256) == {"config.json", "vocab.txt"}
    assert json.loads((pulled.folder / RECORD).read_text())["source"] == str(tmp_path / "mine")


def test_an_unpacked_alignn_zip_file_is_taken_from_a_folder(enter, tmp_path):
    (tmp_path / "checkpoint_300.pt").write_bytes(MODEL)
    (tmp_path / "config.json").write_bytes(CONFIG)
    enter("zoo_alignn", FigshareSource(42), ALIGNN_FILES)
    assert (pull("zoo_alignn", tmp_path).folder / "best_model.pt").read_bytes() == MODEL


def test_a_local_folder_is_checked_like_any_source(enter, tmp_path, cache_root):
    (tmp_path / "mine").mkdir()
    enter("m", PackageSource(("m==1.0",), "m"), {"model.pt": sha256(MODEL)})
    with pytest.raises(InvalidInputError, match=r"has no file 'model\.pt'"):
        pull("m", tmp_path / "mine")
    (tmp_path / "mine" / "model.pt").write_bytes(b"other")
    with pytest.raises(InvalidInputError, match="expected"):
        pull("m", tmp_path / "mine")
    with pytest.raises(InvalidInputError, match="is not a folder"):
        pull("m", tmp_path / "nowhere")
    assert nothing_is_left(cache_root)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'alignn-ff'"):
        pull("alignn_ff")
