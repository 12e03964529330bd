"""View parameters that a stranger wrote: no part of them is run but one reading statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic_store as toy
from tiers import few

from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.query.limits import SqlLimits
from featurestore.session import QueryError, Session
from featurestore.store import FeatureStore
from featurestore.tables.soundness import view_problem
from featurestore.views.features import stored_feature
from featurestore.views.parameters import ViewParameters, resolve
from featurestore.views.request import ViewRequest
from featurestore.views.sql import view_sql
from featurestore.views.view import load_view, select_view

ENDLESS = "(SELECT count(*) FROM range(10000000) a, range(10000000) b) > 0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("hostile") / "store")


@pytest.fixture
def session(store: FeatureStore) -> Iterator[Session]:
    with store.session() as opened:
        yield opened


@pytest.fixture
def stored(session: Session) -> dict[str, Any]:
    """Sound parameters as they are stored."""
    inputs = ("toy-graph", "sql:n_atoms")
    return resolve(session, ViewRequest(toy.PROPERTY, inputs=inputs, where="n_atoms > 0")).as_dict()


def test_sound_ones_are_read(session, stored):
    assert view_problem(stored) is None
    assert len(load_view(session, ViewParameters.from_dict(stored)))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"inputs": ["x; DROP VIEW materials"]}, "inputs"),
        ({"inputs": ["x) s ON true --"]}, "inputs"),
        ({"inputs": ["a.b:c; SELECT 1"]}, "inputs"),
        ({"inputs": ["A_b"]}, "inputs"),
        ({"inputs": ["property:a"]}, "inputs"),
        ({"inputs": ["sql: "]}, "inputs"),
        ({"inputs": ["sql:1", "sql:1"]}, "inputs"),
        ({"inputs": "sql:1"}, "inputs"),
        ({"inputs": [1]}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"where": 1}, "where that"),
        ({"where": {}}, "where that"),
        ({"where_sources": "ab"}, "where_sources"),
        ({"where_sources": [["a", 1]]}, "where_sources"),
        ({"where_sources": [["a", "b", "c"]]}, "where_sources"),
        ({"feature_set": 1}, "feature_set"),
        ({"property": None}, "property that"),
        ({"variant": []}, "variant"),
        ({"split": True}, "split"),
        ({"text_encoder": "x' --"}, "text_encoder"),
        ({"more": 1}, "unknown field 'more'"),
    ],
)
def test_wrong_ones_are_refused(stored, changed, problem):
    with pytest.raises(ValueError, match=problem):
        ViewParameters.from_dict(stored | changed)


def test_a_lacking_one_is_refused(stored):
    del stored["split"]
    with pytest.raises(ValueError, match="no split"):
        ViewParameters.from_dict(stored)


@pytest.mark.parametrize(
    "text",
    [
        *("a", "a.atom", "a:g", "a:g:without:summary", "a.atom:g:only:a,b", "sql:1", "sql:a\n+ 1"),
        *("property:a@b", "property:a b@c@d", "sql:'; DROP VIEW materials --'"),
    ],
)
def test_what_is_let_through_is_a_feature_as_it_is_written(stored, text):
    assert view_problem(stored | {"inputs": [text]}) is None
    assert str(stored_feature(text)) == text


@pytest.mark.parametrize(
    "encoder_id", ["x; DROP VIEW materials", "x) s ON true --", 'x"', "x'", "", "X", "x y"]
)
def test_no_id_is_put_into_sql_unseen(stored, encoder_id):
    """Even where the parameters were not checked before."""
    parameters = ViewParameters.from_dict(stored)
    with pytest.raises(InvalidInputError, match=r"no feature|no encoder_id"):
        view_sql(replace(parameters, inputs=(encoder_id,)))
    with pytest.raises(InvalidInputError, match="no encoder_id"):
        view_sql(replace(parameters, features="structure", structure_encoder=encoder_id))


HOSTILE_SQL = [
    "true; DROP VIEW materials",
    "true) OR (SELECT 1); COPY materials TO '{out}'; SELECT (1",
    "true) UNION SELECT (1",
    "true /*",
    "(SELECT count(*) FROM read_text('/etc/passwd')) > 0",
    "(COPY materials TO '{out}')",
    "getenv('HOME') = ''",
    "(" * 5000 + "true" + ")" * 5000,
    "",
    "--",
]


@pytest.mark.parametrize("text", HOSTILE_SQL)
@pytest.mark.parametrize("place", few(["where", "sql feature"], 1))
def test_users_sql_only_reads(session, stored, tmp_path: Path, place, text):
    text = text.format(out=tmp_path / "out")
    changed = {"where": text} if place == "where" else {"inputs": [f"sql:{text}"]}
    with pytest.raises((FeatureStoreError, ValueError)):
        parameters = ViewParameters.from_dict(stored | changed)
        if place == "where" and not text:
            parameters = replace(parameters, where=text)
        load_view(session, parameters)
    assert not (tmp_path / "out").exists()
    assert session.query("SELECT count(*) AS n FROM materials")["n"][0].as_py() > 0


@pytest.mark.parametrize(
    "changed", [{"where": ENDLESS}, {"inputs": [f"sql:{ENDLESS}"]}], ids=["where", "sql feature"]
)
def test_it_runs_within_the_sessions_time(store, stored, changed):
    parameters = ViewParameters.from_dict(stored | changed)
    with (
        store.session(SqlLimits(seconds=0.2)) as session,
        pytest.raises(QueryError, match=r"more than 0\.2 s"),
    ):
        select_view(session, parameters)


def test_it_runs_within_the_sessions_rows(store, stored):
    parameters = ViewParameters.from_dict(stored)
    with (
        store.session(SqlLimits(rows=2)) as session,
        pytest.raises(QueryError, match="more than 2 rows"),
    ):
        select_view(session, parameters)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.atom"])
def test_a_name_that_is_not_there(session, stored, name):
    with pytest.raises(FeatureStoreError):
        load_view(session, ViewParameters.from_dict(stored | {"inputs": [name]}))


def test_a_segment_that_is_not_there(session, stored):
    encoder = stored["inputs"][0]
    with pytest.raises(UnknownNameError, match="segment"):
        load_view(session, ViewParameters.from_dict(stored | {"inputs": [f"{encoder}.nowhere"]}))
