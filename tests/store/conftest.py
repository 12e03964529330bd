"""Places for stores: a local folder, and a bucket of a local S3 server."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_keys import ACCESS_KEY, SECRET_KEY
from tiers import few

from featurestore.testing.store import Place

BUCKET = "materials"


def server_python() -> str:
    """The Python that runs the S3 server; moto's pins need not fit those of this project."""
    return os.environ.get("FEATURESTORE_S3_PYTHON", sys.executable)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of an S3 server with an empty bucket; tests are skipped where moto is absent."""
    script = Path(__file__).with_name("s3_server.py")
    with subprocess.Popen(
        [server_python(), str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            assert server.stderr is not None
            reason = server.stderr.read()
            assert "No module named" in reason, reason
            pytest.skip("no S3 server: set FEATURESTORE_S3_PYTHON to a Python with moto[s3], flask")
        endpoint = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        yield endpoint
        server.stdin.close()


@pytest.fixture
def s3_place(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A new prefix in the bucket; the credentials are in the environment, as users have them."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    return Place(f"s3://{BUCKET}/{secrets.token_hex(6)}/a store")


@pytest.fixture(params=few(["local", "s3"], 1))
def any_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place for a store, in turn on the local disk and in a bucket."""
    if request.param == "local":
        return Place(str(tmp_path / "a store"))
    place: Place = request.getfixturevalue("s3_place")
    return place
