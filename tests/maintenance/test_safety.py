"""A store, an archive or weights from a stranger cannot run code or reach the machine."""

from __future__ import annotations

import re
import zipfile
from contextlib import suppress

import lance
import pyarrow as pa
import pytest
from hostile_pickle import Touch

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.session import QueryError
from featurestore.upkeep.verify import verify
from ingest.structures.jarvis import read_jarvis

WRITING = (
    "CREATE TABLE t AS SELECT 1",
    "DELETE FROM materials",
    "COPY (SELECT 1) TO '{out}'",
    "ATTACH '{out}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "PRAGMA database_list",
    "SELECT 1; DELETE FROM materials",
)
REACHING = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "FROM '/etc/passwd'",
    "SELECT * FROM glob('/*')",
    "SELECT getenv('HOME')",
    "SELECT * FROM read_parquet('https://example.org/x.parquet')",
)


@pytest.mark.parametrize("query", WRITING)
def test_sql_does_not_write(store, tmp_path, query):
    out = tmp_path / "out"
    with pytest.raises((InvalidInputError, QueryError)):
        store.sql(query.format(out=out))
    assert not out.exists()
    assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [20]


@pytest.mark.parametrize("query", REACHING)
def test_sql_does_not_reach_files_or_the_network(store, query):
    with pytest.raises(QueryError):
        store.sql(query)


def test_sql_does_not_see_python_variables(store):
    secret = pa.table({"value": [1]})  # noqa: F841
    with pytest.raises(QueryError):
        store.sql("FROM secret")


def test_names_of_folders_are_not_run_as_sql(store, tmp_path):
    """Table names go into SQL, so a folder with another name is no table."""
    out = tmp_path / "out"
    for name in (
        f"structure_embeddings__x\" ; COPY (SELECT 1) TO '{out}'; --",
        "text_embeddings__x' AS y",
        "structure_embeddings__X",
    ):
        folder = name.replace("/", "\u2044")
        lance.write_dataset(pa.table({"structure_id": ["a"]}), f"{store.uri}/{folder}.lance")
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in store.tables())
    assert store.sql("SELECT count(*) AS n FROM structure_embedding_keys")["n"].to_pylist() == [20]
    assert not out.exists() and list(verify(store)) == []


@pytest.mark.parametrize("column", ["encoder_id", "kind", "name"])
def test_rows_are_not_run_as_sql(store, tmp_path, column):
    out = tmp_path / "out"
    hostile = f"x'; COPY (SELECT 1) TO '{out}'; --"
    rows = lance.dataset(f"{store.uri}/encoders.lance").to_table().to_pylist()
    rows[0][column] = hostile
    schema = lance.dataset(f"{store.uri}/encoders.lance").schema
    lance.write_dataset(
        pa.Table.from_pylist(rows, schema=schema), f"{store.uri}/encoders.lance", mode="overwrite"
    )
    with suppress(FeatureStoreError, KeyError):
        store.sql("SELECT count(*) FROM structure_embedding_keys")
    assert not out.exists()


@pytest.mark.parametrize("kind", ["alignn", "bert"])
def test_weights_of_an_encoder_are_not_unpickled(tmp_path, kind):
    import torch
    from tiny_alignn import write_tiny_alignn
    from tiny_bert import write_tiny_bert

    from ingest.encoders.load import load_encoder

    out, folder = tmp_path / "out", tmp_path / "weights"
    if kind == "alignn":
        path = write_tiny_alignn(folder)
    else:
        write_tiny_bert(folder)
        (folder / "model.safetensors").unlink()
        path = folder / "pytorch_model.bin"
    torch.save({"model": Touch(out)}, path)
    with pytest.raises(FeatureStoreError):
        load_encoder(str(folder))
    assert not out.exists()


def test_an_archive_cannot_write_outside(tmp_path):
    """Members are read, never unpacked by their own names."""
    path = tmp_path / "archive.json.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../outside.json", "[]")
    before = set(tmp_path.parent.iterdir())
    with suppress(InvalidInputError):
        assert list(read_jarvis(path)) == []
    assert set(tmp_path.parent.iterdir()) == before
