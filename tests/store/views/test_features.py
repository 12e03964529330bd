"""Views of any list of features: each in its columns, by names that resolve; clear refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner

import featurestore.feature_sets
from featurestore import shipped_sets
from featurestore.cli.root import root
from featurestore.errors import (
    FeatureStoreError,
    InvalidInputError,
    MissingContentError,
    UnknownNameError,
)
from featurestore.feature_sets import feature_sets, find_feature_set
from featurestore.history.lineage import model_lineage
from featurestore.shipped_sets import ShippedSet
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from featurestore.views.define import define_feature_set
from featurestore.views.features import parse_feature, stored_feature
from featurestore.views.parameters import ViewParameters
from featurestore.views.request import ViewRequest
from featurestore.views.view import view_parts
from train.predictors.mlp import MLP
from train.training import train_model

ROBO, CHEM = "robocrystallographer", "chemnlp"
SEGMENTS = (("atom", 0, 3), ("bond", 3, 4))
N = 24


def make(folder: Path) -> FeatureStore:
    """Two descriptions of each material, and a second structure encoder and property."""
    store = toy.make_store(
        folder, N, erased=["summary"], sources=(ROBO, CHEM), structure_segments=SEGMENTS
    )
    row = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()[0]
    other = "other_graph_0000000009"
    store.merge_rows("encoders", [row | {"encoder_id": other, "name": "other-graph"}])
    vectors = store.sql(f"FROM {embedding_table('structure', toy.STRUCTURE_ENCODER)}")
    store.merge(embedding_table("structure", other), vectors.arrow())
    (value, *_) = store.sql(f"FROM properties WHERE property = '{toy.PROPERTY}'").to_pylist()
    store.merge_rows(
        "properties",
        [
            value | {"material_id": f"toy-{i:03}", "property": "ehull", "value": i / 4}
            for i in range(N - 1)
        ],
    )
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make(tmp_path_factory.mktemp("features") / "store")


def view(store: FeatureStore, *features: str, **other: object):
    return store.training_view(toy.PROPERTY, inputs=features, split=toy.SPLIT, **other)


def text(index: int, source: str, without: str | None = None) -> np.ndarray:
    return toy.text_vector(s for tag, s in toy.sentences(index, source) if tag != without)


def test_every_feature_has_its_columns_in_the_order_asked_for(store):
    found = view(
        store,
        "toy-text:chemnlp",
        "toy-graph.bond",
        "sql:n_atoms * 2",
        "toy-text:robocrystallographer:without:summary",
        "property:ehull",
        "other-graph",
        "toy-graph.atom",
    )
    assert list(view_parts(found.blocks)) == [
        "toy-text:chemnlp",
        "toy-graph.bond",
        "sql:n_atoms * 2",
        "toy-text:robocrystallographer:without:summary",
        "property:ehull@toy",
        "other-graph",
        "other-graph.atom",
        "other-graph.bond",
        "toy-graph.atom",
    ]
    atoms = dict(
        zip(
            *store.sql("SELECT material_id, n_atoms FROM materials").to_pydict().values(),
            strict=True,
        )
    )
    # the last material has no ehull, and one made of a summary alone has no text without it
    assert found.excluded
    for row, material_id in enumerate(found.material_ids):
        i = int(material_id.removeprefix("toy-"))
        structure = toy.structure_vector(i)
        expected = [
            text(i, CHEM),
            structure[3:],
            [2 * atoms[material_id]],
            text(i, ROBO, "summary"),
            [i / 4],
            structure,
            structure[:3],
        ]
        np.testing.assert_array_equal(found.features[row], np.concatenate(expected))
        assert found.targets[row] == toy.target(i)
    assert {"text_id", "text_id_2", "truncated_2"} <= set(found.rows.column_names)


def test_the_short_form_and_its_list_are_one_view(store):
    for short, features in (
        ("structure", ("toy-graph",)),
        ("text", ("toy-text:robocrystallographer",)),
        ("structure+text", ("toy-graph", "toy-text:robocrystallographer")),
    ):
        first = store.training_view(toy.PROPERTY, **toy.view_request(short))
        assert view(store, *features).fingerprint == first.fingerprint
    assert view(store, *reversed(features)).fingerprint != first.fingerprint


def test_features_are_inferred_from_the_encoders(store):
    inferred = store.training_view(toy.PROPERTY, structure_encoder="toy-graph", split=toy.SPLIT)
    asked = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    assert inferred.fingerprint == asked.fingerprint


def test_a_condition_narrows_a_view_and_is_part_of_it(store):
    whole = view(store, "toy-graph")
    some = view(store, "toy-graph", where="ehull < 2 AND material_id <> 'toy-003'")
    assert some.material_ids == [m for m in whole.material_ids if m < "toy-008" and m != "toy-003"]
    assert some.fingerprint != whole.fingerprint
    assert some.parameters.where_sources == (("ehull", "toy"),)
    assert ViewParameters.from_dict(some.parameters.as_dict()) == some.parameters
    request = ViewRequest(
        toy.PROPERTY, inputs=("toy-graph",), split=toy.SPLIT, where=some.parameters.where
    )
    again = store.view(request)
    assert again.fingerprint == some.fingerprint
    assert store.sql(some.sql).to_pylist() == some.rows.to_pylist()


def test_parameters_survive_json(store):
    found = view(store, "toy-graph.atom", "toy-text:chemnlp:only:summary", "sql:volume/n_atoms")
    again = ViewParameters.from_dict(found.parameters.as_dict())
    assert again == found.parameters and again.parts == found.parameters.parts
    assert [part.kind for part in again.parts] == ["structure", "text", "sql"]
    assert stored_feature(str(again.parts[1])) == again.parts[1]


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (("toy-graph", "toy-graph"), InvalidInputError, "same columns"),
        (("toy-graph", "toy-graph.atom"), InvalidInputError, "same columns"),
        (("toy-graph", toy.STRUCTURE_ENCODER), InvalidInputError, "same columns"),
        (("toy-graph.angle",), UnknownNameError, "segment of toy-graph 'angle'.*atom"),
        (("toy-grahp",), UnknownNameError, "did you mean 'toy-graph'"),
        (("toy-text",), InvalidInputError, "encodes texts: name the text source"),
        (("toy-text:robo",), UnknownNameError, "text source 'robo'"),
        (("toy-text:chemnlp:without:angle",), UnknownNameError, "tag 'angle'"),
        (("toy-graph:chemnlp",), InvalidInputError, "reads no text source"),
        (("sql:formula",), InvalidInputError, "of type VARCHAR"),
        (("sql:n_atoms, 1",), InvalidInputError, "not an SQL expression"),
        (("sql:n_atoms; DROP TABLE materials",), InvalidInputError, "not an SQL expression"),
        (("sql:no_such_column",), InvalidInputError, "cannot be used.*no_such_column"),
        (("sql:random()",), InvalidInputError, "another value each time"),
        (("sql:CASE WHEN material_id = 'toy-004' THEN NULL ELSE 1 END",), InvalidInputError,
         "null.*'toy-004'.*coalesce"),
        (("sql:CASE WHEN material_id = 'toy-004' THEN 1e60 ELSE 1 END",), InvalidInputError,
         "no finite float32.*'toy-004'"),
        ((f"property:{toy.PROPERTY}",), InvalidInputError, "that is to be predicted"),
        (("property:bulk",), UnknownNameError, "property 'bulk'"),
        (("property:ehull@elsewhere",), InvalidInputError, "several sources|choose one"),
        (("sql:",), InvalidInputError, "is no feature"),
        (("toy-text::full",), InvalidInputError, "is no feature"),
        (("",), InvalidInputError, "is no feature"),
    ],
)  # fmt: skip
def test_what_is_no_feature_is_refused_by_name(store, features, error, message):
    with pytest.raises(error, match=message):
        view(store, *features)


def test_the_two_forms_are_not_mixed(store):
    for other in ({"structure_encoder": "toy-graph"}, {"feature_set": "x"}, {"variant": "only:x"}):
        with pytest.raises(InvalidInputError, match="in one way"):
            view(store, "toy-graph", **other)
    with pytest.raises(InvalidInputError, match="name features"):
        store.training_view(toy.PROPERTY)


def test_what_is_lacking_is_counted_and_its_command_named(tmp_path):
    store = make(tmp_path / "store")
    store.remove(embedding_table("structure", "other_graph_0000000009"), "true")
    with pytest.raises(MissingContentError, match="24 lack a other-graph vector") as raised:
        view(store, "toy-graph.atom", "other-graph")
    assert raised.value.commands == (
        ("featurestore", "ingest", "embeddings", "--encoder", "other-graph"),
    )


def test_feature_sets_are_versioned_and_mean_the_same_for_ever(tmp_path):
    store = make(tmp_path / "store")
    first, new = define_feature_set(store, "graph+text", ["toy-graph.atom", "toy-text:chemnlp"])
    assert new and str(first) == "graph+text@1"
    again, new = define_feature_set(store, "graph+text", ["toy-graph.atom", "toy-text:chemnlp"])
    assert not new and again == first
    second, new = define_feature_set(store, "graph+text", ["toy-graph", "sql:n_atoms"], "smaller")
    assert new and second.version == 2
    with store.session() as session:
        assert [str(one) for one in feature_sets(session)] == ["graph+text@1", "graph+text@2"]
        assert find_feature_set(session, "graph+text") == second
        assert find_feature_set(session, "graph+text@1") == first
    old = store.training_view(toy.PROPERTY, feature_set="graph+text@1", split=toy.SPLIT)
    assert old.features.shape[1] == 3 + 3
    assert old.parameters.feature_set == "graph+text@1"
    # the name is no part of what a view is
    assert old.fingerprint == view(store, "toy-graph.atom", "toy-text:chemnlp").fingerprint
    for name, error in (("graph", UnknownNameError), ("graph+text@3", UnknownNameError)):
        with pytest.raises(error, match="feature set"):
            store.training_view(toy.PROPERTY, feature_set=name)
    for name in ("", "../x", "a b", "graph@1"):
        with pytest.raises(InvalidInputError, match="no name of a feature set"):
            define_feature_set(store, name, ["toy-graph"])


def test_a_set_of_this_package_needs_no_list(tmp_path, monkeypatch):
    store = make(tmp_path / "store")
    known = {"recommended": ShippedSet(("toy-graph", "other-graph"), "two graph networks")}
    for module in (shipped_sets, featurestore.feature_sets):
        monkeypatch.setattr(module, "shipped_sets", lambda: known)
    with (
        store.session() as session,
        pytest.raises(UnknownNameError, match=r"features define recommended\)"),
    ):
        find_feature_set(session, "recommended")
    with pytest.raises(UnknownNameError, match=r"'mine'.*name its features"):
        define_feature_set(store, "mine")
    args = ["features", "define", "recommended", "--store", store.uri]
    done = CliRunner().invoke(root, args, catch_exceptions=False)
    assert done.output.startswith("recommended@1\n  toy_graph_")
    new, is_new = define_feature_set(store, "recommended")
    assert (is_new, new.description) == (False, "two graph networks")
    assert new.features == (toy.STRUCTURE_ENCODER, "other_graph_0000000009")


def test_the_sets_of_this_package_are_features():
    for name, shipped in shipped_sets.shipped_sets().items():
        assert shipped.features and shipped.description, name
        assert [str(parse_feature(text)) for text in shipped.features] == list(shipped.features)


@pytest.mark.slow
def test_models_of_a_feature_set_are_stored_and_their_lineage_walks_through_it(tmp_path):
    store = make(tmp_path / "store")
    define_feature_set(store, "all", ["toy-graph.atom", "toy-text:chemnlp", "property:ehull"])
    of = store.training_view(toy.PROPERTY, feature_set="all", split=toy.SPLIT)
    result = train_model(store, of, MLP(widths=(4,), max_epochs=3, patience=3), 0)
    assert result.model.model_id.startswith("mbj_bandgap_all_")
    assert any(note.startswith("ehull is an input") for note in result.notes)
    with store.session() as session:
        node = model_lineage(session, result.model.model_id)
    (of_view,) = [child for child in node.inputs if child.kind == "training view"]
    kinds = [child.kind for child in of_view.inputs]
    assert {
        "structure vectors",
        "text vectors",
        "property as input",
        "feature set",
        "targets",
    } <= set(kinds)
    assert of_view.facts["rebuilt"] == "the same, byte for byte"


def test_a_property_that_tells_the_target_is_named(tmp_path):
    store = make(tmp_path / "store")
    rows = store.sql(f"FROM properties WHERE property = '{toy.PROPERTY}'").to_pylist()
    store.merge_rows(
        "properties", [row | {"property": "slme", "value": 2 * row["value"]} for row in rows]
    )
    result = train_model(
        store, view(store, "toy-graph", "property:slme"), MLP(widths=(4,), max_epochs=1), 0
    )
    assert any("slme may give mbj_bandgap away" in note for note in result.notes)


def test_the_commands(tmp_path):
    store = make(tmp_path / "store")

    def run(*words: str) -> str:
        result = CliRunner().invoke(root, [*words, "--store", store.uri], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert run("features", "define", "mine", "toy-graph.atom", "sql:n_atoms").splitlines() == [
        "mine@1",
        f"  {toy.STRUCTURE_ENCODER}.atom",
        "  sql:n_atoms",
    ]
    assert "it was there" in run("features", "define", "mine", "toy-graph.atom", "sql:n_atoms")
    assert "toy-graph.atom + sql:n_atoms" in run("features", "list")
    shown = run("view", toy.PROPERTY, "--feature-set", "mine", "--where", "n_atoms > 0")
    assert "[0:3] toy-graph.atom" in shown and "[3:4] sql:n_atoms" in shown
    assert "where              n_atoms > 0" in shown
    out = tmp_path / "view.parquet"
    run(
        "view",
        toy.PROPERTY,
        "--feature",
        "toy-graph.bond",
        "--feature",
        "other-graph",
        "-o",
        str(out),
    )
    assert out.exists()


def test_parsing_knows_no_store():
    assert str(parse_feature("a.b:c:without:x,y")) == "a.b:c:without:x,y"
    assert str(parse_feature(" sql: n_atoms + 1 ")) == "sql:n_atoms + 1"
    assert isinstance(FeatureStoreError("x").commands, tuple)
