"""A hostile store behind the pages, asked in process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_store import make_hostile_store
from linear_predictor import register
from served_pages import Served, client_of
from starlette.testclient import TestClient

from explain.explore.engine import Limits
from explain.explore.safety import Guard
from featurestore.store import FeatureStore


@pytest.fixture(scope="session")
def hostile_original(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, str]:
    """The store and the id of its model; what was patched to make it is as it was."""
    with pytest.MonkeyPatch.context() as patch:
        register(patch, tmp_path_factory.mktemp("site"))
        return make_hostile_store(tmp_path_factory.mktemp("stores") / "store", patch)


@pytest.fixture(scope="module")
def served(
    hostile_original: tuple[FeatureStore, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    store, model = hostile_original
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURESTORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        register(patch, tmp_path_factory.mktemp("site"))
        with client_of(store.uri, Guard(), Limits(processes=0)) as client:
            yield Served(store, model, client)


@pytest.fixture
def client(served: Served) -> TestClient:
    return served.client


@pytest.fixture(scope="module")
def cache(served: Served) -> Path:
    """Where maps are kept."""
    return Path(os.environ["FEATURESTORE_CACHE"]) / "maps"
