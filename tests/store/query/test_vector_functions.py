"""The vector functions of SQL against NumPy, and what they do where there is no answer."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic_store as toy

from featurestore.session import QueryError
from featurestore.store import FeatureStore

TABLE = "structure_embeddings__toy_graph"
ONE = f"(SELECT vector FROM {TABLE} WHERE structure_id = 'structure-3')"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy.make_store(tmp_path_factory.mktemp("vectors") / "store", 12)
    [row] = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()
    halves = [{"name": "low", "start": 0, "stop": 1}, {"name": "high", "start": 1, "stop": 4}]
    store.remove("encoders", "kind = 'structure'")
    store.merge_rows("encoders", [row | {"segments": halves}])
    return store


def value(store: FeatureStore, expression: str, **parameters: object) -> object:
    return store.sql(f"SELECT {expression} AS x", parameters)["x"][0].as_py()


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("cosine_similarity", cosine),
        ("cosine_distance", lambda a, b: 1 - cosine(a, b)),
        ("l2_distance", lambda a, b: np.linalg.norm(a - b)),
        ("dot", lambda a, b: a @ b),
    ],
)
def test_functions_of_two_vectors(store, function, expected):
    rows = store.sql(
        f"SELECT structure_id, {function}(vector, {ONE}) AS x FROM {TABLE} ORDER BY structure_id"
    ).to_pylist()
    assert len(rows) == 12
    one = toy.structure_vector(3).astype(np.float64)
    for row in rows:
        other = toy.structure_vector(int(row["structure_id"].split("-")[1])).astype(np.float64)
        assert row["x"] == pytest.approx(expected(other, one), abs=1e-6)


def test_the_norm(store):
    found = store.sql(f"SELECT structure_id AS id, norm(vector) AS x FROM {TABLE}").to_pylist()
    for row in found:
        vector = toy.structure_vector(int(row["id"].split("-")[1]))
        assert row["x"] == pytest.approx(np.linalg.norm(vector), rel=1e-6)
    assert value(store, "norm([3, 4])") == 5


def test_vectors_come_as_columns_slices_lists_and_parameters(store):
    vector = toy.structure_vector(3)
    given = vector.tolist()
    assert value(store, f"l2_distance({ONE}, $v)", v=given) == 0
    assert value(store, f"cosine_similarity({ONE}, {given})") == pytest.approx(1)
    assert value(store, f"dot({ONE}[2:4], $v)", v=given[1:]) == pytest.approx(
        float(vector[1:] @ vector[1:]), rel=1e-6
    )


@pytest.mark.parametrize("encoder", ["toy-graph", "toy_graph", toy.STRUCTURE_ENCODER])
def test_segments(store, encoder):
    assert value(store, f"segment({ONE}, '{encoder}', 'low')") == toy.structure_vector(3)[:1]
    np.testing.assert_array_equal(
        value(store, f"segment({ONE}, '{encoder}', 'high')"), toy.structure_vector(3)[1:]
    )


@pytest.mark.parametrize(("encoder", "part"), [("toy-graph", "middle"), ("x'y", "low")])
def test_a_segment_that_is_not_there(store, encoder, part):
    quoted = encoder.replace("'", "''")
    with pytest.raises(QueryError, match=f"no encoder '{encoder}' has a segment '{part}'"):
        store.sql(f"SELECT segment(vector, '{quoted}', '{part}') FROM {TABLE}")


def test_of_several_versions_the_promoted_one_has_the_segments(store, tmp_path):
    store = toy.make_store(tmp_path / "store", 2)
    [row] = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()
    parts = [{"name": "all", "start": 0, "stop": 2}]
    other = "toy_graph_00000000ff"
    store.merge_rows("encoders", [row | {"encoder_id": other, "segments": parts}])
    with pytest.raises(QueryError, match="several versions"):
        value(store, "segment([1, 2, 3], 'toy-graph', 'all')")
    standing = {"id": other, "standing": "promoted", "reason": "", "run_id": "r"}
    store.merge_rows("standings", [standing | {"changed_at": row["created_at"]}])
    assert value(store, "segment([1, 2, 3], 'toy-graph', 'all')") == [1, 2]
    assert value(store, f"segment([1, 2, 3], '{toy.STRUCTURE_ENCODER}', 'all')") == [1, 2, 3]


def test_where_there_is_no_answer(store):
    assert value(store, "cosine_similarity([0, 0], [1, 2])") is None
    assert value(store, "cosine_distance([0, 0], [1, 2])") is None
    assert value(store, "norm(NULL)") is None
    assert value(store, "dot([1], NULL)") is None
    with pytest.raises(QueryError, match="dimensions must be equal, got left length '4'"):
        value(store, f"l2_distance({ONE}, [1, 2])")
