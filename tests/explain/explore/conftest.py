"""A hostile store behind the pages, asked in process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hostile_store import make_hostile_store
from linear_predictor import register
from starlette.testclient import TestClient

from explain.explore.app import make_app
from explain.explore.engine import Engine, Limits
from explain.explore.safety import Guard
from featurestore.store import FeatureStore

ADDRESS = "http://127.0.0.1:8765"


@dataclass(frozen=True)
class Served:
    """A store, the id of its model of structure and text, and what asks for its pages."""

    store: FeatureStore
    model: str
    client: TestClient


def client_of(uri: str, guard: Guard, limits: Limits) -> TestClient:
    return TestClient(make_app(Engine(uri, None, limits), guard), ADDRESS)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURESTORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        register(patch, tmp_path_factory.mktemp("site"))
        store, model = make_hostile_store(tmp_path_factory.mktemp("stores") / "store", patch)
        with client_of(store.uri, Guard(), Limits(processes=0)) as client:
            yield Served(store, model, client)


@pytest.fixture
def client(served: Served) -> TestClient:
    return served.client


@pytest.fixture(scope="session")
def cache(served: Served) -> Path:
    """Where maps are kept."""
    import os

    return Path(os.environ["FEATURESTORE_CACHE"]) / "maps"
