"""Results of queries as Arrow, pandas and polars, and parameters as they are typed."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pytest
import synthetic_store as toy

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.query.parameters import parse_parameters
from featurestore.query.result import QueryResult
from featurestore.query.statements import is_complete, is_in_text
from featurestore.store import FeatureStore

SQL = (
    "SELECT material_id, n_atoms, vector FROM materials "
    "JOIN structure_embeddings__toy_graph USING (structure_id) ORDER BY material_id"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("result") / "store", 5)


def test_a_result_is_an_arrow_table_in_all_but_name(store):
    result = store.sql(SQL)
    assert isinstance(result, QueryResult)
    table = result.arrow()
    assert isinstance(table, pa.Table) and table.num_rows == len(result) == result.num_rows == 5
    assert result["material_id"].to_pylist() == table["material_id"].to_pylist()
    assert result.column_names == ["material_id", "n_atoms", "vector"]
    assert pa.table(result).equals(table)
    assert result == store.sql(SQL) and result == table and result != table.slice(1)
    assert repr(result).startswith("5 rows × 3 columns\nmaterial_id")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        result.nothing  # noqa: B018


def test_pandas(store):
    frame = store.sql(SQL).pandas()
    assert frame["material_id"].tolist() == [f"toy-00{i}" for i in range(5)]
    np.testing.assert_array_equal(frame["vector"][3], toy.structure_vector(3))


def test_polars(store):
    import polars

    frame = store.sql(SQL).polars()
    assert frame.schema["vector"] == polars.Array(polars.Float32, 4)
    assert frame["material_id"].to_list() == [f"toy-00{i}" for i in range(5)]
    assert polars.DataFrame(store.sql(SQL)).equals(frame)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_not_installed(store, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDataError, match=f"pip install {library}"):
        getattr(store.sql("SELECT 1"), library)()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        (["a=1", "b=x"], {"a": 1, "b": "x"}),
        (["a=1.5", "b=true", "c=null"], {"a": 1.5, "b": True, "c": None}),
        (['a="12"', "b=", "c=x=y"], {"a": "12", "b": "", "c": "x=y"}),
        (["v=[0.5, 1]"], {"v": [0.5, 1]}),
        (["cubic", "4"], ["cubic", 4]),
        (["NaN", "Infinity", "{}", "1e"], ["NaN", "Infinity", "{}", "1e"]),
        (["[" * 100_000], ["[" * 100_000]),
        (["n=JVASP-1"], {"n": "JVASP-1"}),
    ],
)
def test_parameters_are_typed(given, expected):
    assert parse_parameters(given) == expected


@pytest.mark.parametrize("given", [["a=1", "2"], ["2", "a=1"], ["a=1", "a=2"]])
def test_parameters_that_contradict_each_other(given):
    with pytest.raises(InvalidInputError, match="parameter"):
        parse_parameters(given)


def test_parameters_by_position_and_by_name(store):
    by_name = "SELECT material_id FROM materials WHERE material_id = $id AND n_atoms < $most"
    found = store.sql(by_name, {"id": "toy-003", "most": 4})
    assert found["material_id"].to_pylist() == ["toy-003"]
    hostile = {"id": "x' OR '1'='1", "most": 4}
    assert len(store.sql(by_name, hostile)) == 0
    assert len(store.sql("FROM materials WHERE n_atoms = ?", [2])) == 5


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("SELECT 1;", True),
        ("SELECT 1; -- done", True),
        ("SELECT 1", False),
        ("SELECT ';", False),
        ("SELECT 'it''s;';", True),
        ('SELECT ";', False),
        ("SELECT 1 /* ; */", False),
        ("SELECT 1 /* ;", False),
        ("SELECT 1 -- ;", False),
        ("SELECT $$;$$;", True),
        ("SELECT $a$;", False),
        ("", False),
    ],
)
def test_when_a_statement_is_complete(text, complete):
    assert is_complete(text) is complete


def test_inside_a_text():
    assert is_in_text("FROM texts('rob") and is_in_text("SELECT 'a', 'b")
    assert not is_in_text("FROM texts('rob'") and not is_in_text('SELECT "a')
