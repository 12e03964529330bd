"""A session defines what a query names, and nobody notices."""

from __future__ import annotations

import duckdb
import pytest

from featurestore.query.lazy_names import LazyNames
from featurestore.query.macros import MACRO_FILES, macro_definitions, macro_source
from featurestore.session import QueryError
from featurestore.store import FeatureStore

VIEWS = "SELECT view_name FROM duckdb_views() WHERE NOT internal"


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return FeatureStore.open(tmp_path / "store", create=True)


@pytest.fixture
def made():
    """Names, and in what order they were defined."""
    names, order = LazyNames(), []
    names.add(lambda: order.append("a"), {"a"})
    names.add(lambda: (names.define_named("a c"), order.append("b")), {"b"})
    names.add(lambda: (names.define_named("b c() d_1"), order.append("c")), {"c("})
    names.add(lambda: order.append("d"), prefixes=("d_",))
    return names, order


@pytest.mark.parametrize(
    ("sql", "order"),
    [
        ("SELECT 1", ""),
        ("FROM A", "a"),
        ("FROM ab", ""),
        ("FROM b, a", "ab"),
        ("SELECT c FROM x", ""),
        ("SELECT C (1)", "abc"),  # what comes after it, d, is not meant by its words
        ("FROM 'd_2'", "d"),
        ("SHOW TABLES", "abcd"),
        ("FROM duckdb_views()", "abcd"),
    ],
)
def test_what_is_named_is_defined_with_what_it_needs(made, sql, order):
    names, found = made
    names.define_named(sql)
    names.define_named(sql)
    assert "".join(found) == order
    assert names.define_all() == (order != "abcd") and not names.define_all()
    assert sorted(found) == list("abcd")


def test_a_definition_that_fails_is_made_again():
    names, tried = LazyNames(), []

    def define() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise KeyboardInterrupt

    names.add(define, {"a"})
    names.add(lambda: None, {"b"})
    with pytest.raises(KeyboardInterrupt):
        names.define_named("a")
    names.define_named("a, b")
    assert len(tried) == 2 and not names.define_all()


def test_only_what_is_named_is_defined(store):
    with store.session() as session:
        assert session._connection.sql(VIEWS).fetchall() == []
        session.query("SELECT count(*) FROM runs")
        assert session._connection.sql(VIEWS).fetchall() == [("runs",)]


def test_a_name_that_is_put_together_is_found(store):
    rows = store.sql("FROM query_table('mate' || 'rials')")
    assert "formula_alphabetical" in rows.column_names


@pytest.mark.parametrize(
    ("sql", "suggested"),
    [("FROM materialz", "materials"), ("SELECT formla('NaI')", "formula")],
)
def test_an_error_suggests_from_all_names(store, sql, suggested):
    with pytest.raises(QueryError, match=f'Did you mean "{suggested}"'):
        store.sql(sql)


def test_all_is_there_for_who_asks_what_there_is(store):
    shown = store.sql("SHOW TABLES")["name"].to_pylist()
    assert {"materials", "runs", "full_texts", "ruled_values", "text_embedding_keys"} <= set(shown)
    of_macros = "SELECT function_name AS name FROM duckdb_functions() WHERE NOT internal"
    macros = set(store.sql(of_macros)["name"].to_pylist())
    defined = {name for file in MACRO_FILES for name, _ in macro_definitions(file)}
    assert macros == {name.removesuffix("(") for name in defined if name.endswith("(")}


def test_no_function_of_duckdb_is_taken_for_a_macro():
    """A query that names one without a macro of that name being there would mean another thing."""
    known = {
        name for (name,) in duckdb.sql("SELECT function_name FROM duckdb_functions()").fetchall()
    }
    names = [name for file in MACRO_FILES for name, _ in macro_definitions(file)]
    assert not known & {name.removesuffix("(") for name in names}


@pytest.mark.parametrize("file", MACRO_FILES)
def test_a_file_is_all_of_its_definitions(file):
    source = macro_source(file)
    assert len(macro_definitions(file)) == source.count("\nCREATE ")
