"""The recommended recipe by one command."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic_store as toy
from click.testing import CliRunner

import train.best
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.shipped_sets import ShippedSet
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from train.best import best_commands
from train.models import stored_models

ASKED = ("--property", toy.PROPERTY, "--split", toy.SPLIT)
TOY = "toy-graph"


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return toy.make_store(tmp_path / "store", 40)


def recipe_of(monkeypatch: pytest.MonkeyPatch, *features: str) -> None:
    monkeypatch.setattr(train.best, "find_shipped_set", lambda name: ShippedSet(features, "toy"))


def planned(store: FeatureStore, seeds: int = 1) -> list[tuple[str, ...]]:
    with store.session() as session:
        return best_commands(session, toy.PROPERTY, toy.SPLIT, seeds)


def test_a_store_without_vectors_is_told_to_make_those_of_its_split(store):
    first, second, define, fit, again = planned(store, 2)
    encode = ("featurestore", "ingest", "embeddings", "--encoder")
    assert first == (*encode, "alignn-ff", *ASKED)
    assert second == (*encode, "chgnet", *ASKED)
    assert define == ("featurestore", "features", "define", "recommended")
    chosen = ("--feature-set", "recommended", "--seed")
    assert fit == ("featurestore", "train", "fit", "ensemble", *ASKED, *chosen, "0")
    assert again == (*fit[:-1], "1")


def test_only_what_is_lacking_is_made(store, monkeypatch):
    recipe_of(monkeypatch, TOY)
    assert [one[1:3] for one in planned(store)] == [("features", "define"), ("train", "fit")]
    run = CliRunner().invoke(root, ["features", "define", "recommended", TOY, "--store", store.uri])
    assert run.exit_code == 0, run.output
    [fit] = planned(store)
    assert fit[1:3] == ("train", "fit")
    store.remove(
        embedding_table("structure", toy.STRUCTURE_ENCODER), "structure_id = 'structure-1'"
    )
    assert planned(store)[0][1:3] == ("ingest", "embeddings")


def test_the_command_says_what_it_runs_and_trains(store, monkeypatch):
    recipe_of(monkeypatch, TOY)
    monkeypatch.setattr(train.best, "PREDICTOR", "mean")
    defining = ["features", "define", "recommended", TOY, "--store", store.uri]
    assert CliRunner().invoke(root, defining).exit_code == 0
    best = ["train", "best", *ASKED, "--seeds", "1", "--store", store.uri]
    plan = CliRunner().invoke(root, [*best, "--dry-run"])
    assert plan.exit_code == 0, plan.output
    assert plan.output.startswith("$ featurestore train fit mean")
    with store.session() as session:
        assert stored_models(session) == []
    run = CliRunner().invoke(root, best)
    assert run.exit_code == 0, run.output
    assert run.output.startswith(plan.output)
    with store.session() as session:
        [model] = stored_models(session)
    assert model.parameters.feature_set == "recommended@1"


def test_what_there_is_not_is_refused_by_name(store):
    with store.session() as session:
        with pytest.raises(UnknownNameError, match="nosuch"):
            best_commands(session, "nosuch", toy.SPLIT)
        with pytest.raises(UnknownNameError, match=f"(?s)split of .*nosuch.*{toy.SPLIT}"):
            best_commands(session, toy.PROPERTY, "nosuch")
        with pytest.raises(InvalidInputError, match="0 models"):
            best_commands(session, toy.PROPERTY, toy.SPLIT, 0)
