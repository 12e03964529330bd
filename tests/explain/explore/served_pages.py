"""The pages of a store, asked in process."""

from __future__ import annotations

from dataclasses import dataclass

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
