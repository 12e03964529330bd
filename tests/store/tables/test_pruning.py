"""A query over metadata never reads a vector: by DuckDB's plan, Lance's scans and bytes read."""

from __future__ import annotations

from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
import synthetic_store as toy

from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table, table_schema

WIDE = "wide_0123456789"
WIDTH = 4096
VIEW = (
    "training_view('mbj_bandgap', 'robocrystallographer', 'toy_graph', 'toy_text', split := 'toy')"
)
METADATA = [
    f"SELECT material_id, target FROM {VIEW}",
    f"SELECT count(*) FROM {VIEW}",
    f"SELECT fold, avg(target), max(n_tokens) FROM {VIEW} GROUP BY fold",
    f"SELECT count(*) FROM structure_embeddings__{toy.STRUCTURE_ENCODER}",
    "SELECT count(*) FROM materials JOIN structure_embeddings__toy_graph USING (structure_id)",
    "SELECT crystal_system, count(*) FROM materials GROUP BY ALL",
    "FROM coverage()",
    "SELECT text_id FROM text_embeddings__toy_text WHERE n_tokens > 3",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("pruning") / "store", 10)


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[list[str] | None]:
    """The columns that each scan of a Lance table asks for."""
    asked: list[list[str] | None] = []
    scanner = lance.LanceDataset.scanner

    def spy(self, *arguments, **given):
        columns = given.get("columns", arguments[0] if arguments else None)
        asked.append(None if columns is None else list(columns))
        return scanner(self, *arguments, **given)

    monkeypatch.setattr(lance.LanceDataset, "scanner", spy)
    return asked


@pytest.mark.parametrize("sql", METADATA)
def test_no_scan_asks_for_vectors(store, scanned, sql):
    with store.session() as session:
        session.query("SELECT 1")
        scanned.clear()
        session.read_only_query(sql)
    assert scanned, "the query scanned nothing"
    for columns in scanned:
        assert columns is not None and "vector" not in columns


def test_a_query_for_vectors_does_ask(store, scanned):
    """What the other tests rest on: the spy sees a scan that needs vectors."""
    store.sql(f"SELECT norm(structure_vector) FROM {VIEW}")
    assert any(columns is not None and "vector" in columns for columns in scanned)


@pytest.mark.parametrize("sql", METADATA)
def test_the_plan_has_no_vector(store, sql):
    [plan] = store.sql(f"EXPLAIN {sql}")["explain_value"].to_pylist()
    assert "vector" not in plan.replace("_vector", "").lower()
    [plan] = store.sql("EXPLAIN SELECT vector FROM structure_embeddings__toy_graph")[
        "explain_value"
    ].to_pylist()
    assert "vector" in plan


def test_bytes_read_of_a_wide_table(tmp_path: Path):
    store = toy.make_store(tmp_path / "store", 4)
    [row] = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()
    segments = [{"name": "all", "start": 0, "stop": WIDTH}]
    wide = {"encoder_id": WIDE, "name": "wide", "dimension": WIDTH, "segments": segments}
    store.merge_rows("encoders", [row | wide])
    vectors = np.random.default_rng(0).normal(size=(200, WIDTH)).astype(np.float32)
    table = embedding_table("structure", WIDE)
    rows = [
        {"structure_id": f"structure-{i}", "vector": vector, "run_id": "r"}
        for i, vector in enumerate(vectors)
    ]
    store.merge(table, pa.Table.from_pylist(rows, schema=table_schema(table, WIDTH).schema))
    with store.session() as session:
        session.query(
            "SELECT count(*) FROM materials JOIN structure_embeddings__wide USING (structure_id)"
        )
        metadata = session.bytes_read()
        session.query("SELECT sum(vector[1]) FROM structure_embeddings__wide")
        everything = session.bytes_read()
    assert metadata < 0.1 * vectors.nbytes
    assert everything > vectors.nbytes
