"""What hangs on a thing is named and goes with it; the rest of the store stays sound."""

from __future__ import annotations

from typing import Any

import lance
import pytest
from click.testing import CliRunner
from tiers import few
from whole_store import (
    PROPERTY,
    RECIPE,
    SOURCE,
    SPLIT,
    STRUCTURE_ENCODER,
    STRUCTURE_TABLE,
    TEXT_TABLE,
    crystal,
    view_choices,
)

from featurestore.cli import root
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.history.lineage import model_lineage
from featurestore.store import FeatureStore
from featurestore.upkeep.removal import Removal, carry_out
from featurestore.upkeep.removals import of_encoder, of_materials, of_models, of_property, of_split
from featurestore.upkeep.verify import verify
from train.training import train_model

FIRST = "material_id = 'toy-000'"


def planned(store: FeatureStore, plan: Any, *given: Any) -> Removal:
    with store.session() as session:
        found = plan(session, *given)
    assert isinstance(found, Removal)
    return found


def counts(store: FeatureStore) -> dict[str, int]:
    tables = [name for name in store.tables() if name not in ("runs", "snapshots", "removals")]
    found = {name: store.dataset(name) for name in tables}
    return {name: dataset.count_rows() for name, dataset in found.items() if dataset is not None}


def sound(store: FeatureStore) -> bool:
    return not [finding for finding in verify(store) if finding.wrong]


def model_of(store: FeatureStore) -> str:
    return str(store.sql("SELECT model_id FROM models").to_pylist()[0]["model_id"])


def test_a_material_goes_with_all_that_only_it_has(store):
    before, model = counts(store), model_of(store)
    removal = planned(store, of_materials, FIRST)
    said = "\n".join(removal.lines())
    for words in ("1 folds", "1 targets", "1 materials", "2 sentences", "1 predictions"):
        assert words in said
    assert "vectors of 1 text" in said and model in said
    assert counts(store) == before
    removed = carry_out(store, removal)
    assert removed[TEXT_TABLE] == 2 and removed[STRUCTURE_TABLE] == 1
    after = counts(store)
    assert {name: before[name] - n for name, n in after.items() if n != before[name]} == removed
    assert sound(store)
    with store.session() as session:
        lineage = model_lineage(session, model)
    assert lineage.facts["removed_since"] == ["material toy-000"]
    assert len(store.training_view(PROPERTY, **view_choices())) == 19


@pytest.mark.slow
def test_what_others_share_stays(store):
    """Another material with the same structure, and another structure with the same text."""
    [row] = lance.dataset(f"{store.uri}/materials.lance").to_table(filter=FIRST).to_pylist()
    store.merge_rows("materials", [row | {"material_id": "twin"}])
    carry_out(store, planned(store, of_materials, FIRST))
    assert store.sql("SELECT count(*) AS n FROM sentences").to_pylist() == [{"n": 30}]
    assert sound(store)
    twin, other = crystal(0).structure_id, crystal(2).structure_id
    store.remove("sentences", f"structure_id = '{other}'")
    rows = store.sql("FROM sentences WHERE structure_id = ?", [twin]).to_pylist()
    store.merge_rows("sentences", [one | {"structure_id": other} for one in rows])
    vectors = counts(store)[TEXT_TABLE]
    removed = carry_out(store, planned(store, of_materials, "material_id = 'twin'"))
    # what toy-002 said before is said no more; what both say stays
    assert vectors - counts(store)[TEXT_TABLE] == removed[TEXT_TABLE] == 2
    assert sound(store)


@pytest.mark.slow
def test_a_snapshot_brings_a_material_back(store):
    before, view = counts(store), store.training_view(PROPERTY, **view_choices())
    store.create_snapshot("before")
    carry_out(store, planned(store, of_materials, "n_atoms = 2 AND material_id < 'toy-003'"))
    assert counts(store)["materials"] == 17
    store.restore_snapshot("before")
    assert counts(store) == before and sound(store)
    assert store.training_view(PROPERTY, **view_choices()).fingerprint == view.fingerprint


@pytest.mark.parametrize(
    "table",
    few(["splits", "sentences", STRUCTURE_TABLE, TEXT_TABLE, "properties", "materials"], 1),
)
def test_a_removal_that_is_cut_off_goes_on(store, monkeypatch, table):
    where = f"{PROPERTY} < 3"
    remove = FeatureStore.remove

    def killed(self: FeatureStore, name: str, condition: Any) -> None:
        if name == table:
            raise KeyboardInterrupt
        remove(self, name, condition)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            carry_out(store, planned(store, of_materials, where))
    FeatureStore.open(store.uri).sql("SELECT count(*) FROM materials")
    assert sound(store)
    again = planned(store, of_materials, where)
    assert again.names == ("toy-000", "toy-001", "toy-002")
    carry_out(store, again)
    # also where the predictions that told it were gone
    with store.session() as session:
        lineage = model_lineage(session, model_of(store))
    assert lineage.facts["removed_since"] == [f"material {name}" for name in again.names]
    assert counts(store)["materials"] == 17 and sound(store)
    with pytest.raises(MissingDataError, match="no material for which"):
        planned(store, of_materials, where)


def test_a_material_that_comes_back_is_no_cut_off_removal(store):
    [row] = lance.dataset(f"{store.uri}/materials.lance").to_table(filter=FIRST).to_pylist()
    carry_out(store, planned(store, of_materials, FIRST))
    store.merge_rows("materials", [row])
    assert planned(store, of_materials, "material_id = 'toy-001'").names == ("toy-001",)


def test_models_without_another_material_go_first(store):
    with pytest.raises(InvalidInputError, match="1 model has seen no other material"):
        planned(store, of_materials, "true")


def test_a_property_goes_with_its_splits(store):
    model = model_of(store)
    removal = planned(store, of_property, PROPERTY)
    assert "20 targets" in "\n".join(removal.lines()) and model in removal.stays[0]
    carry_out(store, removal)
    assert counts(store)["properties"] == 0 and counts(store)["splits"] == 0
    assert sound(store)
    with store.session() as session:
        lineage = model_lineage(session, model)
    assert lineage.facts["removed_since"] == [f"property {PROPERTY}"]
    with pytest.raises(UnknownNameError, match="property"):
        planned(store, of_property, PROPERTY)


def test_one_source_of_a_property(store):
    with pytest.raises(UnknownNameError, match="source of"):
        planned(store, of_property, PROPERTY, "lab")
    row = store.sql("FROM properties LIMIT 1").to_pylist()[0]
    store.merge_rows("properties", [row | {"source": "lab"}])
    removal = planned(store, of_property, PROPERTY, "lab")
    assert not removal.stays  # no model has learned from it
    assert model_of(store) in planned(store, of_property, PROPERTY, "toy").stays[0]
    carry_out(store, removal)
    assert counts(store)["properties"] == 20 == counts(store)["splits"]


def test_a_split_that_a_model_used(store):
    model = model_of(store)
    with pytest.raises(UnknownNameError, match=r"split 'toi'.*toy"):
        planned(store, of_split, "toi")
    with pytest.raises(UnknownNameError, match="property of split"):
        planned(store, of_split, SPLIT, "slme")
    carry_out(store, planned(store, of_split, SPLIT))
    assert counts(store)["splits"] == 0 and sound(store)
    with store.session() as session:
        lineage = model_lineage(session, model)
    assert lineage.facts["removed_since"] == [f"split {SPLIT}"]
    assert "cannot be made" in lineage.inputs[0].facts["rebuilt"]


@pytest.mark.slow
def test_an_encoder_goes_after_its_models(store):
    model = model_of(store)
    with pytest.raises(InvalidInputError, match=f"1 model reads .*{model}"):
        planned(store, of_encoder, "toy-graph")
    carry_out(store, planned(store, of_models, [model]))
    assert counts(store)["models"] == 0 == counts(store)["predictions"]
    assert sound(store)
    removal = planned(store, of_encoder, "toy-graph")
    assert removal.names == (STRUCTURE_ENCODER,)
    store.create_snapshot("before")
    carry_out(store, removal)
    assert sound(store)
    with pytest.raises(UnknownNameError, match="structure encoder"):
        planned(store, of_encoder, "toy-graph")
    store.restore_snapshot("before")
    assert counts(store)[STRUCTURE_TABLE] == 20 and sound(store)


def test_an_encoder_in_a_list_of_features_is_in_use(store):
    view = store.training_view(PROPERTY, inputs=("toy-graph", "sql:n_atoms"), split=SPLIT)
    listed = train_model(store, view, RECIPE, seed=0).model.model_id
    carry_out(store, planned(store, of_models, [], "features = 'structure+text'"))
    with pytest.raises(InvalidInputError, match=f"1 model reads .*{listed}"):
        planned(store, of_encoder, STRUCTURE_ENCODER)


def test_models_that_are_not_there(store):
    for given, error in (
        (((), None), InvalidInputError),
        ((("a",), "true"), InvalidInputError),
        ((("nothing",), None), UnknownNameError),
        (((), "seed = 99"), MissingDataError),
    ):
        with pytest.raises(error):
            planned(store, of_models, *given)


@pytest.mark.slow
def test_the_command_line(store):
    runner = CliRunner()

    def said(*words: str, error: str = "") -> str:
        result = runner.invoke(root, ["remove", *words, "--store", store.uri])
        assert error in str(result.exception or "")
        assert bool(result.exception) == bool(error), result.output
        return result.output

    before = counts(store)
    assert "Nothing was removed" in said("materials", "--where", FIRST, "--dry-run")
    said("materials", "--where", FIRST, error="say --yes where there is no terminal")
    assert counts(store) == before
    assert "rows removed" in said("materials", "--where", FIRST, "--yes")
    assert "20 × material" not in said("split", SPLIT, "--property", PROPERTY, "--yes")
    said("property", PROPERTY, "--yes")
    said("models", "--where", "true", "--yes")
    said("encoder", "toy-words", "--yes")
    said("models", "--where", "true", error="no model for which")
    assert sound(store) and SOURCE
