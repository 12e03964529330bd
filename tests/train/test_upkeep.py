"""What is lacking since new data came, each kind by itself, and the commands that make it."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner

from featurestore.cli import root
from featurestore.failure import Failure
from featurestore.identity import text_id
from featurestore.quality.status import Lack
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from featurestore.upkeep.property_rules import prefer, unite
from ingest.library.splits import add_splits
from train.predictors.baselines.constant import Constant
from train.training import train_model
from train.upkeep import status

GENERATOR = "robocrystallographer_0000000003"


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return toy.make_store(tmp_path / "store", 20)


def lacks(store: FeatureStore, level: str) -> list[Lack]:
    return [one for one in status(store).lacks if one.level == level]


def values(store: FeatureStore, source: str, given: dict[str, float]) -> None:
    shared = {"property": toy.PROPERTY, "source": source, "unit": "eV", "run_id": "r"}
    rows = [{"material_id": name, "value": value} | shared for name, value in given.items()]
    store.merge_rows("properties", rows, replace=True)


def trained(store: FeatureStore) -> str:
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure+text"))
    return train_model(store, view, Constant("mean"), seed=0).model.model_id


def test_texts_and_vectors(store):
    assert lacks(store, "text") == lacks(store, "vectors") == []
    structures = embedding_table("structure", toy.STRUCTURE_ENCODER)
    store.remove(structures, "structure_id IN ('structure-0', 'structure-1')")
    store.remove("sentences", "structure_id IN ('structure-2', 'structure-3', 'structure-4')")
    [text] = lacks(store, "text")
    assert (text.name, text.n) == (GENERATOR, 3)
    assert text.command[:3] == ("featurestore", "ingest", "text")
    found = {one.name: one.n for one in lacks(store, "vectors")}
    assert found == {toy.STRUCTURE_ENCODER: 2, f"{toy.TEXT_ENCODER} of {GENERATOR}": 3}


def test_what_has_failed_is_not_lacking(store):
    store.remove("sentences", "structure_id = 'structure-2'")
    failure = {"structure-2": Failure("TimeLimit", "took too long")}
    store.record_failures("text", GENERATOR, failure, Run("r"))
    assert lacks(store, "text") == lacks(store, "vectors") == []


def test_variants_by_tags(tmp_path):
    store = toy.make_store(tmp_path / "store", 10, erased=["bond length"])
    rows = [
        {
            **{"text_id": text_id(text), "structure_id": f"structure-{i}", "run_id": "r"},
            **{"generator_id": GENERATOR, "variant": "without:bond length"},
        }
        for i in (2, 4)
        for text in [
            " ".join(s for tag, s in toy.sentences(i, "robocrystallographer") if tag[0] != "b")
        ]
    ]
    store.merge_rows("renderings", rows)
    assert lacks(store, "vectors") == []
    store.remove(embedding_table("text", toy.TEXT_ENCODER), f"text_id = '{rows[0]['text_id']}'")
    [lack] = lacks(store, "vectors")
    assert lack.n == 1 and "without:bond length" in lack.command


@pytest.mark.slow
def test_folds(store):
    [given] = [one for one in lacks(store, "choices") if one.name == toy.SPLIT] or [None]
    assert given is None and lacks(store, "splits") == []
    add_splits(store, random="60/20/20", name="mine", property=toy.PROPERTY)
    add_splits(store, folds=3, name="cv")
    store.remove("splits", "material_id IN ('toy-001', 'toy-002')")
    found = {one.name: (one.n, one.command) for one in lacks(store, "splits")}
    extend = ("featurestore", "ingest", "splits", "--extend")
    assert found == {
        "mine": (2, (*extend, "mine", "--property", toy.PROPERTY)),
        "cv": (2, (*extend, "cv", "--property", "*")),
    }
    [given] = [one for one in lacks(store, "choices") if one.name == toy.SPLIT]
    assert given.command is None and "--extend toy --random" in given.what


def test_models(store):
    model = trained(store)
    assert lacks(store, "models") == []
    store.remove("splits", "material_id = 'toy-000'")
    values(store, "toy", {"toy-001": 50.0})
    [lack] = lacks(store, "models")
    assert (lack.name, lack.n) == (model, 2)
    assert lack.what.endswith("differ: 1 changed, 1 gone")
    assert lack.command == (
        *("featurestore", "train", "fit", "mean", "--property", toy.PROPERTY, "--split", "toy"),
        *("--structure-encoder", toy.STRUCTURE_ENCODER, "--text", GENERATOR),
        *("--text-encoder", toy.TEXT_ENCODER, "--seed", "0"),
    )
    done = CliRunner().invoke(root, [*lack.command[1:], "--store", store.uri])
    assert done.exit_code == 0, done.output
    # the older model of the same kind is no longer asked about
    assert lacks(store, "models") == []


@pytest.mark.slow
def test_a_model_takes_the_rule_in_force(store):
    trained(store)
    values(store, "lab", {"toy-001": 50.0})
    [lack] = lacks(store, "choices")
    assert "2 sources and no rule" in str(lack) and lacks(store, "models") == []
    prefer(store, toy.PROPERTY, ["lab", "toy"])
    assert lacks(store, "choices") == []
    [lack] = lacks(store, "models")
    assert lack.n == 1 and "--property-source" not in lack.command


def test_a_model_without_a_rule_keeps_its_source(store):
    trained(store)
    values(store, "lab", {"toy-001": 50.0})
    store.remove("splits", "material_id = 'toy-000'")
    [lack] = lacks(store, "models")
    place = lack.command.index("--property-source")
    assert lack.command[place + 1] == "toy"


def test_choices_that_are_the_users(store):
    values(store, "lab", {"toy-001": 50.0, "toy-002": 51.0})
    values(store, "other", {"toy-003": 1.0})
    unite(store, toy.PROPERTY, ["lab", "toy"])
    found = [str(one) for one in lacks(store, "choices")]
    assert any("2 materials for which its sources disagree" in one for one in found)
    assert any("1 values of source 'other', which its rule leaves out" in one for one in found)


def test_a_view_that_cannot_be_made_any_more(store):
    model = trained(store)
    store.remove("splits", "true")
    store.remove("properties", "true")
    found = lacks(store, "models") + lacks(store, "choices")
    assert [one.name for one in found] == [model]


@pytest.mark.slow
def test_the_command_line_says_what_it_would_do(store):
    add_splits(store, random="60/20/20", name="mine", property=toy.PROPERTY)
    store.remove("splits", "split = 'mine' AND material_id = 'toy-001'")
    runner, place = CliRunner(), ["--store", store.uri]
    said = runner.invoke(root, ["status", *place]).output
    assert f"splits   mine: 1 materials with {toy.PROPERTY} without a fold" in said
    assert f"  featurestore ingest splits --extend mine --property {toy.PROPERTY}" in said
    before = len(store.sql("FROM splits").to_pylist())
    assert "Nothing was done" in runner.invoke(root, ["update", "--dry-run", *place]).output
    skipped = runner.invoke(root, ["update", "--skip", "splits", *place]).output
    assert "Nothing is lacking that a command could make" in skipped
    assert len(store.sql("FROM splits").to_pylist()) == before
    done = runner.invoke(root, ["update", *place])
    assert done.exit_code == 0 and "1 commands ran" in done.output
    assert len(store.sql("FROM splits").to_pylist()) == before + 1
    assert "Nothing is lacking." in runner.invoke(root, ["status", *place]).output
