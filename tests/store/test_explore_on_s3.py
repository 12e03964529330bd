from __future__ import annotations

import synthetic_store as toy
from starlette.testclient import TestClient

from explain.explore.app import make_app
from explain.explore.engine import Engine, Limits
from explain.explore.safety import Guard
from featurestore.store import FeatureStore


def test_the_pages_of_a_store_in_a_bucket(s3_place) -> None:
    store = FeatureStore.open(s3_place.uri, create=True)
    store.merge_rows("materials", map(toy._material, range(3)))
    app = make_app(Engine(store.uri, None, Limits(processes=0)), Guard())
    with TestClient(app, "http://127.0.0.1") as client:
        assert client.get("/", params={"q": "Na Cl"}).status_code == 200
        store.merge_rows("materials", [toy._material(9)])
        assert client.get("/api/find").json()["total"] == 4
        found = client.get("/api/material", params={"id": "toy-009"}).json()
        assert found["formula"] == "NaCl"
