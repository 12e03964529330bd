"""SQL that writes, reads files or reaches the network or the process is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic_store as toy

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.query.conditions import as_condition
from featurestore.session import QueryError
from featurestore.store import FeatureStore

SECRET = "not to be read"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("refusals") / "store", 4)


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """A readable file in the working directory, and one in the folder where DuckDB would spill."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text(f"a\n{SECRET}\n")
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "secret.csv").write_text(f"a\n{SECRET}\n")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("path", ["secret.csv", "{folder}/secret.csv", ".tmp/secret.csv"])
@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('{path}')",
        "FROM read_csv_auto(['{path}'])",
        "FROM read_text('{path}')",
        "FROM read_blob('{path}')",
        "FROM read_json('{path}')",
        "FROM read_ndjson_objects('{path}')",
        "FROM read_parquet('{path}')",
        "FROM parquet_metadata('{path}')",
        "FROM sniff_csv('{path}')",
        "FROM read_duckdb('{path}')",
        "FROM '{path}'",
        "FROM query('FROM read_text(''{path}'')')",
        "FROM glob('*')",
    ],
)
def test_files_are_not_read(store, secret, path, sql):
    with pytest.raises(QueryError) as refused:
        store.sql(sql.format(path=path.format(folder=secret)))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY materials TO 'out.parquet'",
        "COPY (SELECT 1) TO 'out.csv'",
        "COPY materials FROM 'secret.csv'",
        "ATTACH 'secret.csv'",
        "ATTACH 'https://example.org/x.db' AS x",
        "DETACH memory",
        "USE memory",
        "INSTALL httpfs FROM 'https://example.org'",
        "LOAD 'secret.csv'",
        "SET memory_limit = '1GB'",
        "SET VARIABLE x = 1",
        "PRAGMA database_list",
        "CREATE MACRO x() AS 1",
        "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')",
        "PREPARE x AS SELECT 1",
        "EXECUTE x",
        "ALTER TABLE materials ADD COLUMN x INTEGER",
        "MERGE INTO materials USING materials AS m ON true WHEN MATCHED THEN DELETE",
        "IMPORT DATABASE 'x'",
        "CALL enable_logging()",
        "EXPLAIN ANALYZE DELETE FROM materials",
    ],
)
def test_statements_that_do_more_than_read_are_refused(store, secret, sql):
    before = names(secret)
    with pytest.raises(FeatureStoreError):
        store.sql(sql)
    assert names(secret) == before
    assert store.sql("SELECT count(*) AS n FROM materials")["n"].to_pylist() == [4]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT getenv('PATH')",
        "FROM read_parquet('https://example.org/x.parquet')",
        "FROM read_csv('s3://bucket/x.csv')",
        "FROM 'https://example.org/x.csv'",
        "FROM read_xlsx('secret.xlsx')",
        "FROM enable_logging('QueryLog', storage = 'file', storage_config = {'path': 'log'})",
        "FROM enable_profiling()",
        "FROM duckdb_secrets()",
        "FROM python_map_function((SELECT 1))",
        "FROM arrow_scan(1, 2, 3)",
        "SELECT load_aws_credentials()",
        "FROM secret",
        "FROM store",
    ],
)
def test_nothing_of_the_process_or_the_network_is_reached(store, secret, sql):
    before = names(secret)
    with pytest.raises(QueryError):
        store.sql(sql)
    assert names(secret) == before


def test_a_query_that_outgrows_memory_spills_into_a_folder_of_its_own(store, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with store.session() as session:
        [row] = session.query("SELECT current_setting('temp_directory') AS place").to_pylist()
        place = Path(row["place"])
        assert place.name.startswith("featurestore-") and not place.exists()


@pytest.mark.parametrize(
    "condition",
    [
        "true) OR (true",
        "true) UNION ALL (SELECT 'x'",
        "true; DELETE FROM materials",
        "true GROUP BY 1",
        "true LIMIT 1",
        "true UNION SELECT 1",
        "",
        "--",
        "'",
    ],
)
def test_a_condition_is_one_condition(condition):
    with pytest.raises(InvalidInputError, match="not an SQL condition"):
        as_condition(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "n_atoms < 3 -- few",
        "formula = 'a'')'",
        "crystal_system IN (SELECT 'cubic')",
        "/* x */ true",
    ],
)
def test_conditions_that_are_fine(store, condition):
    with store.session() as session:
        kept = as_condition(condition)
        session.read_only_query(f"SELECT count(*) FROM materials WHERE {kept} AND true")
