"""Properties of classes: their names, rules in SQL, conditions, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner

from featurestore.classes import (
    category_unit,
    classes_of,
    place_of,
    shown_unit,
    written_unit,
)
from featurestore.cli.root import root
from featurestore.errors import ConflictError, InvalidInputError, MissingDataError, UnknownNameError
from featurestore.query.conditions import materials_where
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from featurestore.summary import summarise
from featurestore.upkeep.derivation import derive
from featurestore.upkeep.property_rules import unite
from featurestore.views.parameters import ViewParameters
from featurestore.views.request import ViewRequest

GAP = toy.PROPERTY
SIZES = f"CASE WHEN {GAP} > 1 THEN 'large' WHEN {GAP} > -1 THEN 'medium' ELSE 'small' END"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = toy.make_store(tmp_path_factory.mktemp("classes") / "store", 20)
    derive(store, "positive", f"{GAP} > 0")
    derive(store, "size", SIZES, classes=["small", "medium", "large"])
    return store


def test_a_unit_says_the_classes() -> None:
    unit = category_unit(["cubic", "hexagonal"])
    assert classes_of(unit) == ("cubic", "hexagonal")
    assert written_unit("category[cubic,  hexagonal]") == unit
    assert written_unit("boolean") == "boolean" and classes_of("boolean") == ("false", "true")
    assert (
        classes_of(None)
        == classes_of("eV")
        == ()
        == classes_of('category ["one"]')
        == classes_of("category [1,2]")
    )
    assert place_of("hexagonal", unit, "system") == 1
    assert place_of("TRUE", "boolean", "metal") == 1
    assert shown_unit(unit) == "cubic or hexagonal"
    with pytest.raises(UnknownNameError, match="Cubic"):
        place_of("Cubic", unit, "system")
    with pytest.raises(InvalidInputError, match="has numbers in eV, no classes"):
        place_of("true", "eV", "gap")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["one"], "from 2 to 1,000 classes, not 1"),
        (["a", "A"], "'a' and 'A' differ only by case"),
        (["a", "b", "a"], "'a' is named twice"),
        (["a", " b"], "no name of a class"),
        (["a", ""], "no name of a class"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(classes: list[str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        category_unit(classes)


def test_the_registry_knows_kinds(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[metal]\nkind = "boolean"\n[phase]\nkind = "category"\nclasses = ["a", "b"]\n')
    registry = load_registry(file)
    assert registry["metal"].classes == ("false", "true")
    assert (registry["phase"].classes, registry["phase"].plausible) == (("a", "b"), (0, 1))
    assert registry[GAP].classes == ()
    for text, message in (
        ('kind = "category"\nclasses = ["a", "A"]', r"\[x\]: .*differ only by case"),
        ('kind = "category"', 'kind = "category" with classes'),
        ('kind = "ordinal"\nclasses = ["a", "b"]', 'kind = "boolean"'),
        ('kind = "category"\nclasses = [1, 2]', "classes that are no texts"),
    ):
        file.write_text(f"[x]\n{text}\n")
        with pytest.raises(InvalidInputError, match=message):
            load_registry(file)


def test_a_rule_gives_classes_and_says_where_they_come_from(store: FeatureStore) -> None:
    rows = store.sql(
        "SELECT c.class, p.value, g.value AS gap, p.source, p.unit FROM properties p "
        "JOIN class_values c USING (material_id, property) "
        f"JOIN properties g ON g.material_id = p.material_id AND g.property = '{GAP}' "
        "WHERE p.property = 'positive'"
    ).to_pylist()
    assert len(rows) == 20
    assert all(row["class"] == str(row["gap"] > 0).lower() for row in rows)
    assert all(row["value"] == float(row["gap"] > 0) for row in rows)
    assert {row["source"] for row in rows} == {f"sql {GAP} > 0 ({GAP} from toy)"}
    again = derive(store, "positive", f"{GAP} > 0")
    assert (again.written, again.present) == (0, 20)
    (run, *_) = store.sql(
        "SELECT arguments FROM runs WHERE command = 'properties derive' ORDER BY started_at"
    )["arguments"].to_pylist()
    assert f"{GAP} > 0" in run
    with store.session() as session:
        lines = dict(summarise(session))["Properties"]
    assert any(line.startswith("size: 20 values, ") and " small" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "expression", "error", "message"),
    [
        ("x", "n_atoms", InvalidInputError, "is of type INTEGER; a class is a truth value or"),
        ("x", "random() > 0.5", InvalidInputError, "another value each time"),
        ("x", "nothing > 1", InvalidInputError, '"nothing" not found'),
        ("x", "true; DROP TABLE x", InvalidInputError, "not one expression"),
        ("x", "NULL::BOOLEAN", MissingDataError, "null for every material"),
        ("x", "'only'", InvalidInputError, "from 2 to 1,000 classes, not 1"),
        ("n_atoms", "true", InvalidInputError, "materials have a column of this name"),
        ("positive", "positive", InvalidInputError, "reads 'positive' itself"),
        (GAP, "n_atoms > 1", InvalidInputError, "is there with eV, the rule gives false or true"),
        ("size", "'huge'", UnknownNameError, "class of size 'huge'.*the rule gives it"),
    ],
)
def test_rules_that_give_no_classes_are_refused(
    store: FeatureStore, name: str, expression: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        derive(store, name, expression)


def test_a_rule_whose_result_has_changed_is_not_replaced_in_silence(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 4)
    derive(store, "positive", f"{GAP} > 0")
    row = store.sql(f"FROM properties WHERE property = '{GAP}' ORDER BY material_id").to_pylist()[0]
    store.merge_rows("properties", [row | {"value": -row["value"]}], replace=True)
    with pytest.raises(ConflictError, match="another class than is stored for 1 materials"):
        derive(store, "positive", f"{GAP} > 0")
    assert derive(store, "positive", f"{GAP} > 0", replace=True).written == 1


def test_conditions_and_views_know_classes_by_name(store: FeatureStore) -> None:
    with store.session() as session:
        true = materials_where(session, "positive", ["material_id", "positive"])
        both = materials_where(session, "NOT positive AND size = 'medium'")
    assert set(true["positive"].to_pylist()) == {"true"}
    asked = ViewRequest(GAP, features="structure", structure_encoder="toy-graph")
    view = store.view(replace(asked, where="positive"))
    assert set(view.material_ids) == set(true["material_id"].to_pylist())
    assert not set(view.material_ids) & set(both["material_id"].to_pylist())
    assert view.parameters.where_classes == ("positive",)
    assert ViewParameters.from_dict(view.parameters.as_dict()) == view.parameters
    # as it stands, by the SQL of the view
    assert store.sql(view.sql)["material_id"].to_pylist() == view.material_ids
    classes = store.view(ViewRequest("size", features="structure", structure_encoder="toy-graph"))
    assert classes.parameters.classes == ("small", "medium", "large")
    assert set(classes.targets) <= {0.0, 1.0, 2.0}


def test_classes_as_features_and_in_rules_of_sources(store: FeatureStore) -> None:
    asked = ViewRequest(GAP, inputs=("toy-graph", "property:positive"))
    assert set(store.view(asked).features[:, -1]) == {0.0, 1.0}
    with pytest.raises(InvalidInputError, match=r"whose places are no quantity.*derive"):
        store.view(ViewRequest(GAP, inputs=("toy-graph", "property:size")))
    rows = store.sql("FROM properties WHERE property = 'size'").to_pylist()
    other = [row | {"source": "other", "value": (row["value"] + 1) % 3} for row in rows[:1]]
    store.merge_rows("properties", other)
    sources = [rows[0]["source"], "other"]
    with pytest.raises(InvalidInputError, match="takes no tolerance"):
        unite(store, "size", sources, 1.0)
    unite(store, "size", sources)
    said = CliRunner().invoke(root, ["properties", "conflicts", "size", "--store", store.uri])
    assert "other small" in said.output or "other medium" in said.output or "large" in said.output


def test_the_command_counts_the_classes(store: FeatureStore) -> None:
    said = CliRunner().invoke(
        root,
        ["properties", "derive", "even", "n_atoms % 2 = 0", "--store", store.uri],
        catch_exceptions=False,
    )
    assert said.exit_code == 0
    assert "20 written, 0 already there" in said.output
    assert "source sql n_atoms % 2 = 0" in said.output
