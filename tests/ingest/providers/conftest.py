"""A real OPTIMADE server, servers with quirks, and a clock that does not wait."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up_entries import write_jsonl
from quirky_server import QuirkyServer, serving

import ingest.providers.http
from featurestore.store import FeatureStore


@pytest.fixture(scope="session")
def optimade_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a real OPTIMADE server with 26 structures, ten a page."""
    pytest.importorskip("optimade.server.create_app", reason="needs optimade[server]")
    folder = tmp_path_factory.mktemp("optimade")
    write_jsonl(folder / "entries.jsonl")
    server = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).with_name("optimade_server.py")),
            str(folder / "entries.jsonl"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env={"HOME": str(folder), "PATH": ""},  # it writes its log beneath the home folder
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    port = server.stdout.readline().strip()
    assert port, "the OPTIMADE server did not start"
    yield f"http://127.0.0.1:{port}"
    server.stdin.close()
    server.wait(timeout=20)
    server.stdout.close()


@pytest.fixture
def quirky() -> Iterator[QuirkyServer]:
    """A server on this machine that answers as a test says."""
    with serving() as server:
        yield server


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a client would have waited."""
    waits: list[float] = []
    monkeypatch.setattr(ingest.providers.http.PoliteClient, "wait", lambda _, s: waits.append(s))
    return waits


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(tmp_path / "store", create=True)
