"""SQL over a store: what is refused, and the macros against values worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import synthetic_store as toy

from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.failure import Failure
from featurestore.identity import text_id
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.testing.rows import made_up

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Eight materials; the last two have no text."""
    return toy.make_store(
        tmp_path_factory.mktemp("session") / "store", 8, erased=["summary"], with_text=6
    )


@pytest.fixture
def empty(tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(tmp_path / "store", create=True)


def column(store: FeatureStore, sql: str) -> list[object]:
    return store.sql(sql).column(0).to_pylist()


def generator(store: FeatureStore, generator_id: str, source: str, **tags: list[str]) -> None:
    row = {"tags": [], "reference_tags": [], "fingerprint": "{}", "created_at": NOW, "run_id": "r"}
    store.merge_rows("generators", [row | {"generator_id": generator_id, "source": source} | tags])


def sentence(structure: str, generator_id: str, position: int, text: str, tag: str, *tags: str):
    return {
        "structure_id": structure,
        "generator_id": generator_id,
        "position": position,
        "tag": tag,
        "reference_tags": list(tags),
        "sentence": text,
        "run_id": "r",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO materials SELECT * FROM materials",
        "UPDATE materials SET n_atoms = 1",
        "DELETE FROM materials",
        "DROP VIEW materials",
        "COPY materials TO 'x.csv'",
        "EXPORT DATABASE 'x'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA enable_profiling",
        "CALL pragma_version()",
        "BEGIN",
        "CHECKPOINT",
        "VACUUM",
    ],
)
def test_statements_that_write_or_configure_are_refused(store, statement, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match=r"read-only: [A-Z_]+ statements are refused"):
        store.sql(statement)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sql", ["", " ; ", "-- a comment", "SELECT 1; SELECT 2", "SELECT 1; DROP"])
def test_one_statement_at_a_time(store, sql):
    with pytest.raises((InvalidInputError, QueryError)):
        store.sql(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "FROM '/etc/passwd'",
        "FROM '/etc/some.csv'",
        "FROM read_parquet('https://example.org/x.parquet')",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'",
        "SELECT * FROM query('DROP VIEW materials')",
        "FROM tmp_path",
    ],
)
def test_nothing_outside_the_store_is_reached(store, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FeatureStoreError):
        store.sql(sql)
    assert list(tmp_path.iterdir()) == []


def test_reading_statements(store):
    assert column(store, "SELECT count(*) FROM materials") == [8]
    assert column(store, "WITH x AS (SELECT 7 AS n) FROM x") == [7]
    assert "space_group" in column(store, "DESCRIBE materials")
    assert column(store, "VALUES (1), (2)") == [1, 2]
    assert store.sql("EXPLAIN SELECT 1").num_rows == 1
    assert store.sql("SELECT ? + 1 AS n", [41])["n"].to_pylist() == [42]


def test_duckdbs_message_is_passed_on(store):
    with pytest.raises(QueryError, match=r'(?s)^Referenced column "volum" not found.*"volume"'):
        store.sql("SELECT volum FROM materials")


def test_ctrl_c_among_the_rows_of_a_table_is_one(store):
    class Interrupted:
        def __arrow_c_stream__(self, requested=None):
            def batches():
                yield pa.record_batch({"a": [1]})
                raise KeyboardInterrupt

            schema = pa.schema({"a": pa.int64()})
            reader = pa.RecordBatchReader.from_batches(schema, batches())
            return reader.__arrow_c_stream__(requested)

    with store.session() as session:
        session._connection.register("interrupted", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            session.query("SELECT sum(a) FROM interrupted")


def test_every_table_can_be_queried_before_it_exists(empty):
    for table in ("materials", "properties", "sentences", "models", "erasures", "failures"):
        assert column(empty, f"SELECT count(*) FROM {table}") == [0]
    assert empty.sql("FROM coverage()").num_rows == 0
    with pytest.raises(QueryError, match="no text source or generator 'x'"):
        empty.sql("FROM texts('x')")


def test_texts_in_full(store):
    rows = store.sql("FROM texts('robocrystallographer') ORDER BY structure_id").to_pylist()
    assert len(rows) == 6
    for index, row in enumerate(rows):
        text = " ".join(text for _, text in toy.sentences(index, "robocrystallographer"))
        assert row == {
            "structure_id": f"structure-{index}",
            "text": text,
            "text_id": text_id(text),
        }


def test_texts_of_variants(empty):
    generator(empty, "g_1", "g", tags=["summary", "bond length"], reference_tags=["angle", "site"])
    rows = [
        sentence("s1", "g_1", 1, "Two.", "bond length", "angle", "site"),
        sentence("s1", "g_1", 0, "One.", "summary"),
        sentence("s1", "g_1", 2, "Three.", "summary", "angle"),
        sentence("s2", "g_1", 0, "Four.", "summary"),
    ]
    empty.merge_rows("sentences", rows)
    expected = {
        "full": ("One. Two. Three.", "Four."),
        "without:bond length": ("One. Three.", "Four."),
        "without:summary": ("Two.", ""),
        "without:bond length,summary": ("", ""),
        "only:summary": ("One. Three.", "Four."),
        "only:bond length": ("Two.", ""),
        "only:bond length,summary": ("One. Two. Three.", "Four."),
        "without:reference:angle": ("One.", "Four."),
        "without:reference:site": ("One. Three.", "Four."),
        "only:reference:angle": ("Two. Three.", ""),
        "only:reference:angle,site": ("Two. Three.", ""),
    }
    for variant, texts in expected.items():
        found = empty.sql("FROM texts('g', variant := ?) ORDER BY structure_id", [variant])
        assert tuple(found["text"].to_pylist()) == texts, variant
        assert found["text_id"].to_pylist() == [text_id(text) for text in texts]


@pytest.mark.parametrize(
    "variant",
    [
        "without:nonsense",
        "only:reference:other",
        "without:",
        "without:summary,x",
    ],
)
def test_a_variant_that_does_not_exist(store, variant):
    with pytest.raises(QueryError, match="its tags: summary, bond length, other"):
        store.sql("FROM texts('robocrystallographer', variant := ?)", [variant])


@pytest.mark.parametrize("variant", ["without", "Full"])
def test_a_variant_of_another_form(store, variant):
    with pytest.raises(QueryError, match=f"unknown variant '{variant}'; use full, without:TAG"):
        store.sql("FROM texts('robocrystallographer', variant := ?)", [variant])


def test_a_source_with_several_generators(empty):
    for number in (1, 2):
        generator(empty, f"g_{number}", "g", tags=["t"])
        empty.merge_rows("sentences", [sentence("s", f"g_{number}", 0, f"Text {number}.", "t")])
    with pytest.raises(QueryError, match="several generators, name one of: g_1, g_2"):
        empty.sql("FROM texts('g')")
    assert column(empty, "SELECT text FROM texts('g_2')") == ["Text 2."]


def folds_of(store: FeatureStore, name: str, split: str) -> dict[str, str]:
    rows = store.sql("FROM folds(?, ?)", [name, split]).to_pylist()
    assert len({row["material_id"] for row in rows}) == len(rows)
    return {row["material_id"]: row["fold"] for row in rows}


def test_a_propertys_own_folds_go_before_general_ones(empty):
    rows = [
        ("s", "gap", "a", "test"),
        ("s", "*", "a", "train"),
        ("s", "*", "b", "val"),
        ("s", "other", "b", "test"),
        ("t", "gap", "b", "train"),
    ]
    names = ("split", "property", "material_id", "fold")
    empty.merge_rows(
        "splits", [dict(zip(names, row, strict=True)) | {"run_id": "r"} for row in rows]
    )
    assert folds_of(empty, "gap", "s") == {"a": "test", "b": "val"}
    assert folds_of(empty, "other", "s") == {"a": "train", "b": "test"}
    assert folds_of(empty, "third", "s") == {"a": "train", "b": "val"}
    assert folds_of(empty, "gap", "t") == {"b": "train"}
    assert folds_of(empty, "third", "t") == {}


@pytest.mark.parametrize("structure", ["toy-graph", "toy_graph", toy.STRUCTURE_ENCODER])
def test_training_view_by_names_and_ids(store, structure):
    sql = (
        f"FROM training_view('{toy.PROPERTY}', 'robocrystallographer', '{structure}', 'toy-text', "
        f"split := '{toy.SPLIT}')"
    )
    rows = store.sql(sql).to_pylist()
    assert [row["material_id"] for row in rows] == [f"toy-{i:03}" for i in range(6)]
    for index, row in enumerate(rows):
        assert row["fold"] == toy.fold(index)
        assert row["target"] == toy.target(index)
        assert row["structure_vector"] == toy.structure_vector(index).tolist()
        kept = [text for _, text in toy.sentences(index, "robocrystallographer")]
        assert row["text_vector"] == toy.text_vector(kept).tolist()
        assert row["text_id"] == text_id(" ".join(kept))


def test_training_view_without_a_split_has_no_folds(store):
    sql = (
        f"SELECT DISTINCT fold FROM training_view('{toy.PROPERTY}', 'robocrystallographer', "
        "'toy-graph', 'toy-text')"
    )
    assert column(store, sql) == [None]


def test_training_view_of_an_unknown_encoder(store):
    with pytest.raises(QueryError, match="structure_embeddings__tow_graph does not exist"):
        store.sql(
            f"FROM training_view('{toy.PROPERTY}', 'robocrystallographer', 'tow-graph', 'toy-text')"
        )


def test_values_of_several_sources_are_not_mixed(empty):
    empty.merge("materials", made_up("materials", range(2)))
    base = {"property": "gap", "unit": "eV", "run_id": "r"}
    empty.merge_rows(
        "properties",
        [
            base | {"material_id": "material_id-0", "source": "it's mine", "value": 1.0},
            base | {"material_id": "material_id-0", "source": "theirs", "value": 2.0},
            base | {"material_id": "material_id-1", "source": "theirs", "value": 3.0},
        ],
    )
    with pytest.raises(QueryError, match=r"several sources; .*property_source: it's mine, theirs"):
        empty.sql("FROM targets('gap')")
    one = empty.sql("SELECT target FROM targets('gap', property_source := 'it''s mine')")
    assert one["target"].to_pylist() == [1.0]
    two = empty.sql("SELECT sum(target) AS s FROM targets('gap', property_source := 'theirs')")
    assert two["s"].to_pylist() == [5.0]


def test_coverage(store):
    rows = store.sql("FROM coverage()").to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("property", toy.PROPERTY, 8, 8, 100.0),
        ("structure embedding", toy.STRUCTURE_ENCODER, 8, 8, 100.0),
        ("text", "robocrystallographer_0000000003", 6, 8, 75.0),
        ("text embedding", f"{toy.TEXT_ENCODER} of robocrystallographer_0000000003", 6, 8, 75.0),
    ]


def vectors(store: FeatureStore, kind: str, encoder_id: str, number: int) -> None:
    rows = made_up(f"{kind}_embeddings__toy_0123456789", [number])
    store.merge(f"{kind}_embeddings__{encoder_id}", rows)


def test_short_names_stand_for_one_version_of_one_kind(empty):
    for encoder_id in ("minilm_0000000001", "bert_0000000001", "bert_0000000002", "plain"):
        vectors(empty, "text", encoder_id, 1)
    vectors(empty, "structure", "minilm_0000000003", 1)
    shown = set(column(empty, "SELECT name FROM (SHOW TABLES) WHERE name LIKE '%embeddings__%'"))
    assert shown == {
        "text_embeddings__minilm_0000000001",
        "text_embeddings__minilm",
        "structure_embeddings__minilm_0000000003",
        "structure_embeddings__minilm",
        "text_embeddings__bert_0000000001",
        "text_embeddings__bert_0000000002",
        "text_embeddings__plain",
    }


def test_a_short_name_never_hides_an_id(empty):
    vectors(empty, "text", "bert", 1)
    vectors(empty, "text", "bert_0000000001", 2)
    assert column(empty, "SELECT text_id FROM text_embeddings__bert") == ["text_id-1"]


def test_an_encoder_without_any_vector_can_be_queried(empty):
    row = {
        "encoder_id": "new_0123456789",
        "name": "new",
        "kind": "structure",
        "dimension": 4,
        "segments": [],
        "fingerprint": "{}",
        "created_at": NOW,
        "run_id": "r",
    }
    empty.merge_rows("encoders", [row])
    assert column(empty, "SELECT count(*) FROM structure_embeddings__new") == [0]


def test_failures_newest_wins_and_success_clears(empty):
    stage, context = "it's", 'a "context"; DROP'
    for number in (1, 2):
        failures = {
            f"item '{item}'": Failure("Error", f"message {number}")
            for item in ("a", "b", "c")[: number + 1]
        }
        empty.record_failures(stage, context, failures, Run(f"run-{number}"))
    empty.record_failures("other", context, {"item 'a'": Failure("Error", "m")}, Run("run-3"))
    rows = empty.sql("FROM failures WHERE stage <> 'other'").to_pylist()
    assert {(row["item"], row["message"], row["run_id"]) for row in rows} == {
        (f"item '{item}'", "message 2", "run-2") for item in "abc"
    }
    empty.clear_failures(stage, context, ["item 'a'", "item 'c'", "never failed"])
    assert empty.failed_items(stage, context) == {"item 'b'"}
    assert empty.failed_items("other", context) == {"item 'a'"}


def test_texts_of_many_structures_take_no_time_squared(empty):
    """A quadratic plan takes minutes for 40,000 sentences, this one part of a second."""
    import time

    generator(empty, "g_1", "g", tags=["t0", "t1"])
    rows = [
        sentence(f"s{number // 10}", "g_1", number % 10, "A sentence.", f"t{number % 2}")
        for number in range(40_000)
    ]
    empty.merge_rows("sentences", rows)
    start = time.perf_counter()
    assert column(empty, "SELECT count(*) FROM texts('g', variant := 'without:t0')") == [4000]
    assert time.perf_counter() - start < 10
