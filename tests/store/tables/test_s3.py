"""The store in an object store, tested on a local S3 server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import synthetic_store as toy
from pyarrow import fs
from s3_keys import ACCESS_KEY, SECRET_KEY

from featurestore.errors import StorageError
from featurestore.store import FeatureStore
from featurestore.testing.rows import made_up
from featurestore.testing.store import Place, StoreContract

WRITE_AND_FAIL = """
import sys
from featurestore import FeatureStore
from featurestore.cli import main

store = FeatureStore.open(sys.argv[1])
try:
    with store.run("x", {"store": sys.argv[1]}):
        FeatureStore.open("s3://no-such-bucket/x")
except Exception as error:
    print(error)
sys.argv = ["featurestore", "info", "--store", "s3://no-such-bucket/x"]
main()
"""


class TestS3Store(StoreContract):
    @pytest.fixture
    def place(self, s3_place: Place) -> Place:
        return s3_place


def test_a_training_view_is_the_same_as_on_disk(s3_place: Place, tmp_path: Path) -> None:
    both = toy.view_request("structure+text")
    local = toy.make_store(tmp_path / "store", 20).training_view(toy.PROPERTY, **both)
    remote = toy.make_store(s3_place.uri, 20).training_view(toy.PROPERTY, **both)
    assert remote.fingerprint == local.fingerprint


def test_commands_find_it_by_its_uri(s3_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from featurestore.cli import root

    s3_place.open().merge("materials", made_up("materials", range(3)))
    monkeypatch.setenv("FEATURESTORE_URI", s3_place.uri + "/")
    found = CliRunner().invoke(root, ["sql", "SELECT count(*) AS n FROM materials"])
    assert found.output.split() == ["n", "-", "3"]
    made = CliRunner().invoke(root, ["snapshot", "create", "a"])
    assert made.output == "snapshot a: 2 tables, 4 rows\n"


def everything_in(place: Place) -> dict[str, bytes]:
    """Every object of the store, by Arrow's own client."""
    filesystem, path = fs.FileSystem.from_uri(quote(place.uri, safe=":/"))
    return {
        entry.path: filesystem.open_input_file(entry.path).read()
        for entry in filesystem.get_file_info(fs.FileSelector(path, recursive=True))
        if entry.is_file
    }


def test_credentials_are_nowhere(s3_place: Place) -> None:
    s3_place.open().merge("materials", made_up("materials", range(3)))
    ran = subprocess.run(
        [sys.executable, "-c", WRITE_AND_FAIL, s3_place.uri], capture_output=True, text=True
    )
    assert ran.returncode == 1 and "NoSuchBucket" in ran.stdout and "NoSuchBucket" in ran.stderr
    [run] = s3_place.open().sql("FROM runs").to_pylist()
    assert run["status"] == "failed" and "NoSuchBucket" in run["message"]
    objects = everything_in(s3_place)
    assert sum("/runs.lance/" in name for name in objects) > 4
    for secret in (SECRET_KEY, ACCESS_KEY):
        assert secret not in ran.stdout + ran.stderr
        assert [name for name, body in objects.items() if secret.encode() in body] == []


def test_a_profile_is_a_usual_place(
    s3_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_place.open().merge("materials", made_up("materials", range(3)))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        f"[lab]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert FeatureStore.open(s3_place.uri).tables() == ["materials"]


def test_an_endpoint_without_a_region_or_by_its_other_name(
    s3_place: Place, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_place.open().merge("materials", made_up("materials", range(3)))
    monkeypatch.delenv("AWS_REGION")
    assert s3_place.open().sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [3]
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    assert s3_place.open().sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [3]
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    options = {"endpoint": s3_endpoint, "region": "us-east-1"}
    found = FeatureStore.open(s3_place.uri, storage_options=options)
    assert found.merge("materials", made_up("materials", range(4))).written == 1


def test_a_server_that_is_away_is_an_error(
    s3_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = {"client_max_retries": "0", "connect_timeout": "1s", "retry_timeout": "1s"}
    with pytest.raises(StorageError, match="cannot list the tables in s3://"):
        FeatureStore.open(s3_place.uri, storage_options=options)
