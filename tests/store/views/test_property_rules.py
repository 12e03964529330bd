"""Sources of a property that are united or preferred: views, conditions, SQL and lineage."""

from __future__ import annotations

from pathlib import Path

import lance
import pyarrow as pa
import pytest
from click.testing import CliRunner
from synthetic_store import PROPERTY, make_store

from featurestore.catalogue import find_property
from featurestore.cli import root
from featurestore.errors import DamagedRowsWarning, InvalidInputError, UnknownNameError
from featurestore.history.lineage import model_lineage
from featurestore.property_overview import property_conflicts, property_overview
from featurestore.query.conditions import materials_where
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from featurestore.upkeep.property_rules import prefer, separate, unite
from train.predictors.baselines.constant import Constant
from train.training import train_model

STRUCTURE = {"structure_encoder": "toy-graph"}


def values(
    store: FeatureStore,
    source: str,
    given: dict[str, float],
    unit: str = "eV",
    name: str = PROPERTY,
) -> None:
    with store.run("ingest targets", {"source": source}) as run:
        shared = {"property": name, "source": source, "unit": unit, "run_id": run.run_id}
        rows = [{"material_id": one, "value": value} | shared for one, value in given.items()]
        store.merge_rows("properties", rows)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Ten materials with values of the source "toy"."""
    return make_store(tmp_path / "store", 10)


@pytest.fixture
def ids(store: FeatureStore) -> list[str]:
    return list(store.sql("SELECT material_id FROM materials ORDER BY 1").column("material_id"))


@pytest.fixture
def toy(store: FeatureStore) -> dict[str, float]:
    """The values that are there."""
    rows = store.sql("SELECT material_id, value FROM properties").to_pylist()
    return {row["material_id"]: row["value"] for row in rows}


def source_of(store: FeatureStore) -> str:
    return str(store.sql("SELECT DISTINCT source FROM properties").to_pylist()[0]["source"])


def test_a_view_without_a_rule_is_what_it_was(store, toy):
    view = store.training_view(PROPERTY, **STRUCTURE)
    old = source_of(store)
    assert f"property_source := '{old}'" in view.sql
    values(store, "lab", {"x": 1.0}, name="another")
    prefer(store, "another", ["lab"])
    assert store.training_view(PROPERTY, **STRUCTURE).fingerprint == view.fingerprint


def test_several_sources_need_a_choice_or_a_rule(store, toy):
    values(store, "lab", dict.fromkeys(list(toy)[:3], 9.0))
    with pytest.raises(InvalidInputError, match=r"'lab'.*unite or prefer"):
        store.training_view(PROPERTY, **STRUCTURE)
    with pytest.raises(QueryError, match="unite or prefer"):
        store.sql(f"FROM targets('{PROPERTY}')")


def test_the_preferred_source_wins(store, toy):
    old, plain = source_of(store), store.training_view(PROPERTY, **STRUCTURE)
    names = sorted(toy)
    values(store, "lab", {names[0]: 100.0, names[1]: 101.0})
    prefer(store, PROPERTY, ["lab", old])
    view = store.training_view(PROPERTY, **STRUCTURE)
    found = dict(zip(view.material_ids, view.targets, strict=True))
    assert found == toy | {names[0]: 100.0, names[1]: 101.0}
    assert view.fingerprint != plain.fingerprint
    assert view.parameters.property_source == f'prefer ["lab","{old}"]'
    # the other way round the values are the old ones; the view is another all the same
    prefer(store, PROPERTY, [old, "lab"])
    other = store.training_view(PROPERTY, **STRUCTURE)
    assert other.targets.tolist() == plain.targets.tolist()
    assert len({plain.fingerprint, view.fingerprint, other.fingerprint}) == 3
    # a source that is chosen is that source, whatever the rule
    chosen = store.training_view(PROPERTY, **STRUCTURE, property_source=old)
    assert chosen.fingerprint == plain.fingerprint
    # the view of before can be asked for by its rule
    again = store.training_view(
        PROPERTY, **STRUCTURE, property_source=view.parameters.property_source
    )
    assert again.fingerprint == view.fingerprint


def test_sql_needs_no_choice(store, toy):
    old, first = source_of(store), min(toy)
    values(store, "lab", {first: 100.0})
    prefer(store, PROPERTY, ["lab", old])
    rows = store.sql(f"SELECT material_id, target, source FROM targets('{PROPERTY}')").to_pylist()
    assert {row["material_id"]: row["target"] for row in rows} == toy | {first: 100.0}
    assert {row["source"] for row in rows if row["material_id"] == first} == {"lab"}
    with store.session() as session:
        [row] = materials_where(session, f"{PROPERTY} > 99", ("material_id", PROPERTY)).to_pylist()
    assert row == {"material_id": first, PROPERTY: 100.0}


def test_conditions_and_features_take_the_rule(store, toy):
    old, names = source_of(store), sorted(toy)
    values(store, "a", {one: float(i) for i, one in enumerate(names[:6])}, name="slme")
    values(store, "b", {one: 50.0 + i for i, one in enumerate(names)}, name="slme")
    prefer(store, "slme", ["a", "b"])
    view = store.training_view(PROPERTY, inputs=("property:slme",), where="slme < 5 OR slme > 58")
    assert view.material_ids == [*names[:5], names[9]]
    assert view.features[:, 0].tolist() == [0, 1, 2, 3, 4, 59]
    assert 'property:slme@prefer ["a","b"]' in view.segments[0][0]
    assert old == view.parameters.property_source


def test_united_sources_must_agree(store, toy):
    old, names = source_of(store), sorted(toy)
    values(store, "lab", {names[0]: toy[names[0]] + 0.25, names[1]: toy[names[1]], "new": 7.0})
    rule, new = unite(store, PROPERTY, [old, "lab"])
    assert new and rule.version == 1
    with pytest.raises(InvalidInputError, match=f"for 1 materials, for example '{names[0]}'"):
        store.training_view(PROPERTY, **STRUCTURE)
    with pytest.raises(QueryError, match=r"united sources.*disagree"):
        store.sql(f"FROM targets('{PROPERTY}')")
    with store.session() as session:
        with pytest.raises(InvalidInputError, match="properties conflicts"):
            materials_where(session, f"{PROPERTY} > 0")
        [conflict] = property_conflicts(session, PROPERTY).to_pylist()
        assert conflict["material_id"] == names[0] and conflict["difference"] == pytest.approx(0.25)
        assert property_conflicts(session, PROPERTY, 0.3).num_rows == 0
        overview = {row["source"]: row for row in property_overview(session).to_pylist()}
    assert overview["lab"]["conflicts"] == 1 and overview["lab"]["values"] == 3
    rule, _ = unite(store, PROPERTY, [old, "lab"], tolerance=0.3)
    assert rule.text == f'unite ["{old}","lab"] within 0.3'
    view = store.training_view(PROPERTY, **STRUCTURE)
    assert dict(zip(view.material_ids, view.targets, strict=True)) == toy


def test_a_repeated_rule_is_no_new_version(store, toy):
    old = source_of(store)
    values(store, "lab", {min(toy): 1.0})
    assert prefer(store, PROPERTY, ["lab", old])[1]
    assert not prefer(store, PROPERTY, ["lab", old])[1]
    assert separate(store, PROPERTY)[0].version == 2
    with pytest.raises(InvalidInputError, match="several sources"):
        store.training_view(PROPERTY, **STRUCTURE)
    with pytest.raises(UnknownNameError, match="rule of property"):
        separate(store, PROPERTY)
    assert prefer(store, PROPERTY, ["lab", old])[0].version == 3
    store.training_view(PROPERTY, **STRUCTURE)


def test_rules_that_cannot_be(store, toy):
    old = source_of(store)
    values(store, "lab", {min(toy): 1.0})
    values(store, "meV", {min(toy): 1000.0}, unit="meV")
    with pytest.raises(UnknownNameError, match=f"source of {PROPERTY} 'lap'.*lab"):
        unite(store, PROPERTY, ["lap", old])
    with pytest.raises(UnknownNameError, match="property 'nothing'"):
        prefer(store, "nothing", ["lab"])
    with pytest.raises(InvalidInputError, match="'lab' is named more than once"):
        prefer(store, PROPERTY, ["lab", old, "lab"])
    with pytest.raises(InvalidInputError, match="united, two at least"):
        unite(store, PROPERTY, ["lab"])
    with pytest.raises(InvalidInputError, match="name the sources"):
        prefer(store, PROPERTY, [])
    for tolerance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="a finite number from 0"):
            unite(store, PROPERTY, ["lab", old], tolerance)
    with pytest.raises(InvalidInputError, match="in several units, eV, meV"):
        prefer(store, PROPERTY, ["lab", "meV"])
    assert store.dataset("property_rules") is None
    with store.session() as session, pytest.raises(InvalidInputError, match="number from 0"):
        property_conflicts(session, PROPERTY, -0.1)


def test_a_unit_that_comes_later_is_noticed(store, toy):
    old, names = source_of(store), sorted(toy)
    values(store, "lab", {names[0]: 1.0})
    prefer(store, PROPERTY, ["lab", old])
    values(store, "lab", {names[1]: 1000.0}, unit="meV")
    with store.session() as session, pytest.raises(InvalidInputError, match="several units"):
        find_property(session, PROPERTY)


def test_a_damaged_rule_gives_way_to_no_older_one(store, toy):
    old = source_of(store)
    values(store, "lab", {min(toy): 1.0})
    prefer(store, PROPERTY, ["lab", old])
    uri = f"{store.uri}/property_rules.lance"
    rows = lance.dataset(uri).to_table()
    row = rows.to_pylist()[0] | {"version": 2, "sources": ["x", "x"]}
    lance.write_dataset(pa.Table.from_pylist([row], schema=rows.schema), uri, mode="append")
    refused = pytest.raises(InvalidInputError, match=r"version 2 of the rule .* is damaged")
    with pytest.warns(DamagedRowsWarning), store.session() as session, refused:
        find_property(session, PROPERTY)
    with pytest.warns(DamagedRowsWarning):
        assert prefer(store, PROPERTY, ["lab", old])[0].version == 3
    with pytest.warns(DamagedRowsWarning):
        store.training_view(PROPERTY, **STRUCTURE)


def test_lineage_walks_through_the_rule(tmp_path):
    store = make_store(tmp_path / "store", 20)
    old = source_of(store)
    with store.session() as session:
        first = session.query("SELECT min(material_id) AS id FROM materials")["id"][0].as_py()
    values(store, "lab", {first: 3.0})
    rule, _ = prefer(store, PROPERTY, ["lab", old])
    view = store.training_view(PROPERTY, **STRUCTURE, split="toy")
    model = train_model(store, view, Constant("mean"), seed=0).model
    with store.session() as session:
        lineage = model_lineage(session, model.model_id)
    [of_view] = lineage.inputs
    assert of_view.facts["rebuilt"] == "the same, byte for byte"
    [targets] = [node for node in of_view.inputs if node.kind == "targets"]
    [node] = targets.inputs
    assert (node.kind, node.name, node.runs[0].run_id) == ("rule", rule.text, rule.run_id)
    assert "ingest targets" in {run.command for run in targets.runs}
    # under another rule the model's view is still what it was
    prefer(store, PROPERTY, [old, "lab"])
    with store.session() as session:
        [of_view] = model_lineage(session, model.model_id).inputs
    assert of_view.facts["rebuilt"] == "the same, byte for byte"


def test_the_command_line(store, toy):
    old, first = source_of(store), min(toy)
    values(store, "lab", {first: toy[first] + 1})
    runner = CliRunner()

    def said(*words: str) -> str:
        result = runner.invoke(root, ["properties", *words, "--store", store.uri])
        assert result.exit_code == 0, result.output
        return result.output

    assert "1 materials for which they disagree, views are refused" in said(
        "unite", PROPERTY, "lab", old
    )
    assert "version 1 (it was so)" in said("unite", PROPERTY, "lab", old)
    assert first in said("conflicts", PROPERTY)
    assert "the first source stands" in said("prefer", PROPERTY, "lab", old)
    assert 'prefer ["lab"' in said("list")
    assert "are separate (version 3)" in said("separate", PROPERTY)
