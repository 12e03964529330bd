"""Choosing stored models by name, property, split or a condition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from explain.cli.root import explain
from featurestore.errors import FeatureStoreError, InvalidInputError, MissingDataError
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from train.cli.root import train
from train.model_request import ModelRequest
from train.models import (
    SeedGroup,
    hybrid_models,
    requested_models,
    seed_groups,
    stored_models,
)
from train.predictors.baselines.constant import Constant
from train.predictors.mlp import MLP
from train.training import train_model


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Four networks on structure, two lengths with two seeds; one hybrid; a constant."""
    store = toy.make_store(tmp_path_factory.mktemp("stores") / "store", 20)
    views = {
        name: store.training_view(toy.PROPERTY, **toy.view_request(name))
        for name in ("structure", "structure+text")
    }
    for seed in (0, 1):
        for epochs in (1, 2):
            train_model(store, views["structure"], MLP((8, 8), max_epochs=epochs), seed)
    train_model(store, views["structure+text"], MLP((8, 8), max_epochs=1), 0)
    train_model(store, views["structure+text"], Constant("mean"), 0)
    return store


def _chosen(store: FeatureStore, **choice: str) -> list[tuple[str, str, int]]:
    with store.session() as session:
        models = requested_models(session, ModelRequest(**choice))
    return [(model.predictor, model.parameters.features, model.seed) for model in models]


@pytest.mark.slow
def test_a_condition_chooses_among_columns_settings_and_text_sources(store: FeatureStore) -> None:
    assert len(_chosen(store)) == 6
    assert _chosen(store, where="predictor = 'mean'") == [("mean", "structure+text", 0)]
    assert _chosen(store, where="settings->>'max_epochs' = '2' AND seed > 0") == [
        ("mlp", "structure", 1)
    ]
    source = toy.view_request("text")["text_source"]
    assert len(_chosen(store, where=f"text_source = '{source}' -- hybrids")) == 2
    assert len(_chosen(store, property=toy.PROPERTY, where="text_source IS NULL OR false")) == 4


def test_property_split_and_condition_all_hold(store: FeatureStore) -> None:
    where = "seed = 1"
    assert len(_chosen(store, property=toy.PROPERTY, split=toy.SPLIT, where=where)) == 2
    with pytest.raises(MissingDataError, match="no model of split 'other' and seed = 1; train"):
        _chosen(store, split="other", where=where)


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("nosuch = 1", QueryError),
        ("seed = 0; DROP TABLE models", InvalidInputError),
        ("true) UNION FROM (SELECT 1", FeatureStoreError),
        ("", InvalidInputError),
        ("seed = ?", FeatureStoreError),
    ],
)
def test_bad_conditions_are_refused(store: FeatureStore, where: str, error: type) -> None:
    with pytest.raises(error):
        _chosen(store, where=where)


def test_hybrids_are_taken_unless_models_are_named(store: FeatureStore) -> None:
    (network, _) = hybrid_models(store, ModelRequest(property=toy.PROPERTY))
    assert network.parameters.features == "structure+text"
    with pytest.raises(MissingDataError, match="no model of structure and full text among the 2"):
        hybrid_models(store, ModelRequest(where="settings->>'max_epochs' = '2'"))
    with store.session() as session:
        other = requested_models(session, ModelRequest(where="text_source IS NULL"))[0]
    assert hybrid_models(store, ModelRequest((other.model_id,))) == [other]


def _run(store: FeatureStore, command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--store", store.uri])  # type: ignore[arg-type]


def test_the_commands_take_a_condition(store: FeatureStore) -> None:
    condition = ("--where", "predictor = 'mlp' AND settings->>'max_epochs' = '2'")
    listed = _run(store, train, "list", *condition, "--format", "csv")
    assert len(listed.stdout.splitlines()) == 1 + 2
    groups = _run(store, train, "groups", *condition, "--format", "csv")
    assert groups.exit_code == 0 and "max_epochs=2" in groups.stdout


@pytest.mark.parametrize(
    ("group", "arguments"),
    [
        (train, ["groups"]),
        (train, ["groups", "--model", "x", "--property", "y"]),
        (explain, ["tags", "--model", "x", "--split", "y"]),
        (explain, ["segments", "--model", "x", "--where", "true"]),
        (explain, ["segments"]),
    ],
)
def test_names_and_conditions_exclude_each_other(
    store: FeatureStore, group: object, arguments: list[str]
) -> None:
    result = _run(store, group, *arguments)
    assert result.exit_code == 2
    assert "Name models with --model, or choose" in result.output


def test_models_of_several_seeds_are_one_group(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 20)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure"))
    for seed in (2, 0):
        train_model(store, view, MLP(widths=(4,), max_epochs=1), seed)
    train_model(store, view, Constant("mean"), 0)
    with store.session() as session:
        constant, networks = seed_groups(stored_models(session))
    assert (len(constant), len(networks)) == (1, 2)
    assert networks.seeds == (0, 2)
    assert networks.model_ids == [model.model_id for model in networks]
    assert networks.first is networks[0] and networks.parameters == view.parameters
    assert networks.mean(lambda model: model.seed) == 1
    np.testing.assert_array_equal(networks.mean(lambda m: np.array([m.seed, 4])), [1, 4])
    with pytest.raises(ValueError, match="needs a model"):
        SeedGroup(())
