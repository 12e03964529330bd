"""What bears a name bears another; models keep the old one, and are found under the new one."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from tiers import few
from whole_store import (
    PROPERTY,
    SPLIT,
    STRUCTURE_ENCODER,
    crystal,
    view_choices,
)

import featurestore.upkeep.property_rules as rules
from explain.report.training import training_notes
from featurestore.cli import root
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.feature_sets import find_feature_set
from featurestore.history.lineage import model_lineage, prediction_lineage
from featurestore.identity import canonical_json
from featurestore.splits import cross_validations
from featurestore.store import FeatureStore
from featurestore.upkeep.renaming import Renaming, carry_out_renaming
from featurestore.upkeep.renamings.materials import of_dataset, of_material
from featurestore.upkeep.renamings.properties import of_property, of_source
from featurestore.upkeep.renamings.refused import REFUSED
from featurestore.upkeep.renamings.splits import of_split
from featurestore.upkeep.verify import verify
from featurestore.views.define import define_feature_set
from featurestore.views.view import load_view
from train.forecasts.chosen import chosen_group
from train.forecasts.group import group_id
from train.models import stored_models

SAME = "the same, byte for byte"


def planned(store: FeatureStore, plan: Any, *given: str) -> Renaming:
    with store.session() as session:
        found = plan(session, *given)
    assert isinstance(found, Renaming)
    return found


def renamed(store: FeatureStore, plan: Any, *given: str) -> Renaming:
    renaming = planned(store, plan, *given)
    carry_out_renaming(store, renaming)
    return renaming


def sound(store: FeatureStore) -> bool:
    return not [finding for finding in verify(store) if finding.wrong]


def model_of(store: FeatureStore) -> str:
    return str(store.sql("SELECT model_id FROM models").to_pylist()[0]["model_id"])


def lineage(store: FeatureStore) -> tuple[list[str], str]:
    """What the model's lineage says has been renamed, and of its view."""
    with store.session() as session:
        found = model_lineage(session, model_of(store))
    return found.facts["renamed_since"], found.inputs[0].facts["rebuilt"]


def count(store: FeatureStore, table: str, condition: str) -> int:
    rows = store.sql(f"SELECT count(*) AS n FROM {table} WHERE {condition}").to_pylist()
    return int(rows[0]["n"])


@pytest.mark.slow
def test_a_property_with_its_splits_and_feature_sets(store):
    define_feature_set(store, "mine", [f"property:{PROPERTY}@toy", "sql:n_atoms"])
    view = store.training_view(PROPERTY, **view_choices())
    renaming = planned(store, of_property, PROPERTY, "gap")
    said = "\n".join(renaming.lines())
    assert f"property: {PROPERTY} becomes gap" in said and "20 targets" in said
    assert "20 folds that are for it alone" in said and model_of(store) in said
    assert "mine@2" in said
    assert carry_out_renaming(store, renaming) == {"splits": 20, "properties": 20}
    assert lineage(store) == ([f"property {PROPERTY}, now gap"], SAME)
    now = store.training_view("gap", **view_choices())
    assert now.material_ids == view.material_ids and (now.targets == view.targets).all()
    with pytest.raises(UnknownNameError, match="has been renamed; it is 'gap' now"):
        store.training_view(PROPERTY, **view_choices())
    with store.session() as session:
        assert find_feature_set(session, "mine").features[0] == "property:gap@toy"
        assert prediction_lineage(session, model_of(store), "toy-000").inputs[0].kind == "model"
    assert count(store, "models", f"property = '{PROPERTY}'") == 1 and sound(store)


def test_models_are_found_under_the_names_of_today(store):
    model_id = model_of(store)
    renamed(store, of_property, PROPERTY, "gap")
    renamed(store, of_split, SPLIT, "other")
    with store.session() as session:
        (model,) = stored_models(session, "gap", "other")
        assert not stored_models(session, PROPERTY) and not stored_models(session, "gap", SPLIT)
        group = chosen_group(session, "gap")
        with pytest.raises(MissingDataError, match="has been renamed; it is 'gap' now"):
            chosen_group(session, PROPERTY)
        view = load_view(session, model.parameters)
    assert model.model_id == model_id == group.first.model_id
    assert (model.parameters.property, model.trained_as.property) == ("gap", PROPERTY)
    assert len(view) and not training_notes(view, model)
    # the name of then is in the group's, so that forecasts of before and after are one row
    assert group_id(group).startswith(f"{PROPERTY}_")


@pytest.mark.slow
def test_names_that_follow_one_another(store):
    """There and back again, and a name that another thing has taken up meanwhile."""
    renamed(store, of_property, PROPERTY, "gap")
    renamed(store, of_property, "gap", "Eg")
    renamed(store, of_split, SPLIT, "other")
    assert lineage(store)[1] == SAME
    renamed(store, of_property, "Eg", PROPERTY)
    renamed(store, of_split, "other", SPLIT)
    assert lineage(store)[1] == SAME and sound(store)
    store.training_view(PROPERTY, **view_choices())


@pytest.mark.slow
def test_a_source_and_the_rule_that_names_it(store):
    row = store.sql("FROM properties WHERE material_id = 'toy-000'").to_pylist()[0]
    store.merge_rows("properties", [row | {"source": "lab's"}])
    rules.prefer(store, PROPERTY, ["lab's", "toy"])
    renaming = planned(store, of_source, PROPERTY, "toy", 'old "toys"')
    assert renaming.models == (model_of(store),)
    carry_out_renaming(store, renaming)
    view = store.training_view(PROPERTY, **view_choices())
    assert view.parameters.property_source == 'prefer ["lab\'s","old \\"toys\\""]'
    assert len(view) == 20 and lineage(store)[1] == SAME and sound(store)
    for wrong, words in (
        (("nobody", "x"), "source of"),
        (("toy", "x"), "has been renamed"),
        (("lab's", 'old "toys"'), "properties unite"),
        (("lab's", "prefer [x"), "how a rule reads"),
        (("lab's", " "), "is no name"),
    ):
        with pytest.raises((UnknownNameError, InvalidInputError), match=words):
            planned(store, of_source, PROPERTY, *wrong)


def crossed(store: FeatureStore) -> None:
    """The cross-validation cv of two splits, and a split that was drawn from cv/0."""
    with store.run("ingest splits", {}) as run:
        for name, rule in (
            ("cv/0", {"way": "folds", "of": "cv", "folds": 2, "fold": 0, "seed": 0}),
            ("cv/1", {"way": "folds", "of": "cv", "folds": 2, "fold": 1, "seed": 0}),
            ("less", {"way": "sampled", "of": "cv/0"}),
        ):
            shared = {"split": name, "property": "*", "run_id": run.run_id}
            store.merge_rows("splits", [shared | {"material_id": "toy-001", "fold": "test"}])
            [row] = store.dataset("runs").to_table().slice(0, 1).to_pylist()
            version = {"version": 1, "rule": canonical_json(rule), "materials": 1}
            store.merge_rows(
                "split_versions", [shared | version | {"created_at": row["started_at"]}]
            )


@pytest.mark.slow
def test_a_split(store):
    view = store.training_view(PROPERTY, **view_choices())
    renamed(store, of_split, SPLIT, "week 1")
    assert lineage(store) == ([f"split {SPLIT}, now week 1"], SAME)
    now = store.training_view(PROPERTY, **view_choices() | {"split": "week 1"})
    assert (now.in_fold("test") == view.in_fold("test")).all() and sound(store)
    with pytest.raises(UnknownNameError, match="it is 'week 1' now"):
        store.training_view(PROPERTY, **view_choices())


def test_a_cross_validation(store):
    crossed(store)
    with pytest.raises(InvalidInputError, match="rename split cv"):
        planned(store, of_split, "cv/0", "x")
    with pytest.raises(InvalidInputError, match="remove split cv"):
        planned(store, of_split, SPLIT, "cv")
    with pytest.raises(UnknownNameError, match="cv"):
        planned(store, of_split, "cw", "x")
    assert renamed(store, of_split, "cv", "five").names[0] == ("cv", "five")
    with store.session() as session:
        assert cross_validations(session) == {("five", "*"): ("five/0", "five/1")}
    sampled = store.sql("SELECT rule FROM split_versions WHERE split = 'less'").to_pylist()
    assert sampled == [{"rule": '{"of":"five/0","way":"sampled"}'}] and sound(store)


def test_a_data_set(store):
    renaming = renamed(store, of_dataset, "toy", "games")
    assert f"rename source {PROPERTY} toy games" in renaming.stays[0]
    assert count(store, "materials", "dataset = 'games'") == 20 and sound(store)
    with pytest.raises(UnknownNameError, match="it is 'games' now"):
        planned(store, of_dataset, "toy", "x")
    with pytest.raises(InvalidInputError, match="told apart"):
        planned(store, of_dataset, "games", "games")


@pytest.mark.slow
def test_a_material(store):
    stored = store.dataset("materials").to_table(filter="material_id = 'toy-000'").to_pylist()[0]
    renaming = planned(store, of_material, "toy-000", "zeta")
    said = "\n".join(renaming.lines())
    assert "1 targets" in said and "1 folds" in said and "1 predictions" in said
    carry_out_renaming(store, renaming)
    now = store.dataset("materials").to_table(filter="material_id = 'zeta'").to_pylist()
    assert now == [stored | {"material_id": "zeta"}]
    for table in ("materials", "properties", "splits", "predictions"):
        assert count(store, table, "material_id = 'toy-000'") == 0, table
        assert count(store, table, "material_id = 'zeta'") == 1, table
    # the new id is the last in order, the old one was the first
    assert lineage(store) == (["material toy-000, now zeta"], SAME)
    with pytest.raises(UnknownNameError, match="it is 'zeta' now"):
        store.search.materials_like("toy-000", "structure")
    with pytest.raises(InvalidInputError, match="remove materials --where"):
        planned(store, of_material, "toy-001", "zeta")
    assert sound(store) and count(store, "materials", f"structure_id = '{crystal(0).structure_id}'")


@pytest.mark.parametrize(
    ("plan", "given", "table"),
    few(
        [
            (of_material, ("toy-000", "zeta"), "predictions"),
            (of_property, (PROPERTY, "gap"), "properties"),
            (of_material, ("toy-000", "zeta"), "properties"),
            (of_split, ("cv", "five"), "splits"),
        ],
        1,
    ),
)
def test_a_renaming_that_is_cut_off_goes_on(store, monkeypatch, plan, given, table):
    crossed(store)
    update = FeatureStore.update

    def killed(self: FeatureStore, name: str, condition: Any, values: Any) -> None:
        if name == table:
            raise KeyboardInterrupt
        update(self, name, condition, values)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            renamed(store, plan, *given)
    assert sound(FeatureStore.open(store.uri))
    again = renamed(store, plan, *given)
    assert sound(store) and planned_anew_is_refused(store, plan, *given)
    if again.models:
        assert lineage(store)[1] == SAME
    with store.session() as session:
        assert ("five" if plan is of_split else "cv", "*") in cross_validations(session)


def planned_anew_is_refused(store: FeatureStore, plan: Any, *given: str) -> bool:
    with pytest.raises(UnknownNameError, match="has been renamed"):
        planned(store, plan, *given)
    return True


def test_what_came_back_under_the_old_name_meanwhile(store, monkeypatch):
    """Rows of both names are never put together in silence."""
    row = store.sql("FROM properties WHERE material_id = 'toy-000'").to_pylist()[0]

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            renamed(store, of_property, PROPERTY, "gap")
    store.merge_rows("properties", [row | {"property": "gap"}])
    with pytest.raises(InvalidInputError, match="1 rows of properties are there under"):
        planned(store, of_property, PROPERTY, "gap")


def test_property_names_that_cannot_be(store):
    for new, words in (
        ("band gap", "no name of a property"),
        ("Formula", "column of this name"),
        ("slme", "registered in %"),
        (PROPERTY, "there is a property"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            planned(store, of_property, PROPERTY, new)
    with pytest.raises(UnknownNameError, match="property 'gap'"):
        planned(store, of_property, "gap", "gap2")


def test_a_snapshot_keeps_the_past(store):
    store.create_snapshot("made")
    renamed(store, of_property, PROPERTY, "gap")
    past = FeatureStore.open(store.uri, at="made")
    assert len(past.training_view(PROPERTY, **view_choices())) == 20
    store.restore_snapshot("made")
    assert len(store.training_view(PROPERTY, **view_choices())) == 20 and sound(store)


@pytest.mark.slow
def test_the_command_line(store):
    runner = CliRunner()

    def said(*words: str, error: str = "") -> str:
        result = runner.invoke(root, ["rename", *words, "--store", store.uri])
        assert error in str(result.exception or "") + result.output
        assert bool(result.exception) == bool(error), result.output
        return result.output

    assert "Nothing was renamed" in said("split", SPLIT, "x", "--dry-run")
    said("split", SPLIT, "x", error="say --yes where there is no terminal")
    assert count(store, "splits", f"split = '{SPLIT}'") == 20
    assert "20 rows changed" in said("split", SPLIT, "x", "--yes")
    said("source", PROPERTY, "toy", "tin", "--yes")
    said("property", PROPERTY, "gap", "--yes")
    said("dataset", "toy", "tin", "--yes")
    said("material", "toy-001", "one", "--yes")
    assert lineage(store)[1] == SAME and sound(store)
    for kind in REFUSED:
        said(kind, STRUCTURE_ENCODER, "x", error=f"{kind} keeps its name: ")
