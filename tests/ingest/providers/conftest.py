"""A real OPTIMADE server, servers with quirks, and a clock that does not wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optimade_server
import pytest
from quirky_server import QuirkyServer, serving

import ingest.providers.http
from featurestore.store import FeatureStore


@pytest.fixture(scope="session")
def optimade_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a real OPTIMADE server with 26 structures, ten a page."""
    with optimade_server.serving(tmp_path_factory.mktemp("optimade")) as url:
        yield url


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
