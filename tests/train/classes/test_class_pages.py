"""Models of classes in the pages of a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tiers import few

from explain.explore.app import make_app
from explain.explore.engine import Engine, Limits
from explain.explore.safety import Guard
from featurestore.store import FeatureStore


@pytest.fixture(scope="module")
def client(trained: tuple[Path, dict[str, list[str]]]) -> Iterator[TestClient]:
    app = make_app(Engine(str(trained[0]), None, Limits(processes=0)), Guard())
    with TestClient(app, "http://127.0.0.1") as found:
        yield found


@pytest.mark.parametrize("name", few(["positive", "size"], 1))
def test_the_pages_of_a_model_of_classes(
    client: TestClient, trained: tuple[Path, dict[str, list[str]]], name: str
) -> None:
    folder, ids = trained
    [first, second, _] = ids[name]
    rows = FeatureStore.open(folder).sql(
        "SELECT material_id, model_id, fold, target, prediction, probabilities, class_set "
        f"FROM class_predictions WHERE model_id IN ('{first}', '{second}')"
    )
    by_material: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        by_material.setdefault(row["material_id"], []).append(row)
    points = client.get("/api/model/points", params={"id": first}).json()
    assert {"lower", "upper", "seeds_std"}.isdisjoint(one["name"] for one in points["columns"])
    classes = client.get("/api/facets").json()["properties"]
    [classes] = [one["classes"] for one in classes if one["name"] == name]
    for row in points["rows"]:
        both = by_material[row["material_id"]]
        mean = np.mean([one["probabilities"] for one in both], axis=0)
        assert np.allclose(row["probabilities"], mean)
        assert row["prediction"] == classes[int(mean.argmax())]
        assert row["target"] == both[0]["target"]
    tested = [row for row in points["rows"] if row["fold"] == "test"]
    wrong = [row for row in tested if row["prediction"] != row["target"]]
    page = client.get("/model", params={"id": first}).text
    assert ("Most surely wrong" in page) == bool(wrong)
    assert "Calibration" in page and 'class="chart calibration"' in page and "said" in page
    board = client.get("/models", params={"property": name}).text
    assert "in its 90 % set" in board and "Brier score" in board
    one = tested[0]["material_id"]
    told = client.get("/api/material", params={"id": one}).json()["predictions"]
    [shown] = [row for row in told if row["model_id"] == first]
    [stored] = [row for row in by_material[one] if row["model_id"] == first]
    assert shown["shown"] == stored["prediction"] and shown["class_set"] == stored["class_set"]
    assert shown["probability"] == pytest.approx(max(stored["probabilities"]))
    assert shown["lower"] is None and shown["unit"] == ""
    compared = client.get("/compare", params={"a": first, "b": ids[name][2]}).text
    assert "common test materials" in compared
