"""The OpenAPI document and what is answered: the same."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import hostile_store as hostile
import pyarrow as pa
import pytest
import synthetic_store as toy
from jsonschema import Draft202012Validator
from served_pages import Served

from explain.explore.api import ENDPOINTS, Endpoint
from explain.explore.replies import MEDIA_TYPES

QUESTIONS: dict[str, dict[str, str]] = {
    "/find": {"q": "Na", "as": "elements", "col": hostile.PROPERTY, "sort": "-n_atoms"},
    "/facets": {"histogram": hostile.PROPERTY},
    "/rows": {"id": "toy-001"},
    "/material": {"id": hostile.ID},
    "/material/scene": {"id": "toy-001", "a": "2"},
    "/material/drawing": {"id": "toy-001"},
    "/material/structure": {"id": "toy-001", "format": "cif"},
    "/material/neighbours": {"id": "toy-001", "encoder": toy.STRUCTURE_ENCODER, "k": "2"},
    "/map": {"encoder": toy.STRUCTURE_ENCODER, "colour": "crystal_system"},
    "/model/points": {"fold": "test"},
    "/model/lineage": {},
    "/sql": {"q": "SELECT 1 AS a, NULL AS b, {'c': [1.5]} AS d"},
}


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    return served.client.get("/api/openapi.json").json()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.path)
def test_an_address_answers_in_the_form_that_is_described(
    served: Served, document: dict[str, Any], endpoint: Endpoint
) -> None:
    asked = dict(QUESTIONS.get(endpoint.path, {}))
    if endpoint.path.startswith("/model/"):
        asked["id"] = served.model
    described = document["paths"][endpoint.path]["get"]
    names = {one["name"] for one in described["parameters"]}
    assert asked.keys() <= names
    needed = {one["name"] for one in described["parameters"] if one["required"]}
    assert needed <= asked.keys()
    answer = served.client.get(f"/api{endpoint.path}?{urlencode(asked)}")
    assert answer.status_code == 200, answer.text
    content = described["responses"]["200"]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content
    if kind == "application/json":
        schema = content[kind]["schema"] | {"components": document["components"]}
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate(answer.json())
    if needed:
        without = served.client.get(f"/api{endpoint.path}")
        assert without.status_code == 400
        error = described["responses"]["400"]["content"]["application/json"]["schema"]
        Draft202012Validator(error | {"components": document["components"]}).validate(
            without.json()
        )
    if endpoint.tabular:
        assert set(content) == {media.partition(";")[0] for media in MEDIA_TYPES.values()}
        arrow = served.client.get(f"/api{endpoint.path}?{urlencode(asked | {'format': 'arrow'})}")
        table = pa.ipc.open_stream(arrow.content).read_all()
        said = answer.json()
        assert table.column_names == [one["name"] for one in said["columns"]]
        assert table.num_rows >= len(said["rows"])
