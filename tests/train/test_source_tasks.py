"""Warnings about encoders whose source models know the targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic_store as toy

from featurestore.catalogue import Encoder
from featurestore.store import FeatureStore
from ingest.weights.registry import registry
from train.analysis.leakage import leakage
from train.benchmark.grid import Grid
from train.benchmark.run import stored_benchmark
from train.predictors.baselines.constant import Constant
from train.source_tasks import optimistic, source_task
from train.training import train_model

NAME = f"jv_{toy.PROPERTY}_alignn"
ENCODER = Encoder("some_0123456789", "some", "structure", 768, (), {})


@pytest.mark.parametrize(
    ("name", "property", "warned"),
    [
        ("alignn-ff", "formation_energy_peratom", True),
        ("alignn-ff", "ehull", True),
        ("alignn-ff", "mbj_bandgap", False),
        ("jv_mbj_bandgap_alignn", "mbj_bandgap", True),
        ("jv_mbj_bandgap_alignn", "ehull", False),
        ("jv_supercon_tc_alignn", "Tc_supercon", True),
        ("mp_e_form_alignn", "formation_energy_peratom", True),
        ("mp_e_form_alignn", "ehull", False),
        ("matminer", "formation_energy_peratom", False),
    ],
)
def test_only_what_a_source_model_learned(name: str, property: str, warned: bool) -> None:
    warning = optimistic(replace(ENCODER, name=name), property)
    assert (warning is not None) == warned
    if warning:
        assert "some_0123456789 has learned" in warning
        assert f"errors for {property} with its vectors are optimistic" in warning


def test_weights_are_known_under_any_name() -> None:
    sha256 = registry()["alignn-ff"].files["best_model.pt"]
    encoder = replace(ENCODER, fingerprint={"weights_sha256": sha256})
    assert source_task(encoder) == source_task(replace(ENCODER, name="alignn-ff"))
    assert source_task(ENCODER) is None


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store whose structure encoder has learned the targets."""
    store = toy.make_store(tmp_path / "store", 20)
    row = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()[0]
    store.remove("encoders", "kind = 'structure'")
    store.merge_rows("encoders", [row | {"name": NAME}])
    return store


@pytest.mark.slow
def test_it_is_said_wherever_errors_are_shown(store: FeatureStore) -> None:
    warning = f"has learned {toy.PROPERTY} of JARVIS-DFT: errors for {toy.PROPERTY} with its"
    request = toy.view_request("structure") | {"structure_encoder": NAME}
    view = store.training_view(toy.PROPERTY, **request)
    for _ in ("trained", "found"):
        notes = train_model(store, view, Constant("mean"), 0).notes
        assert sum(warning in note for note in notes) == 1
    view = store.training_view(toy.PROPERTY, **toy.view_request("text"))
    assert not any(warning in note for note in train_model(store, view, Constant("mean"), 0).notes)
    with store.session() as session:
        notes = leakage(session, toy.PROPERTY, toy.SPLIT).notes
    assert sum(warning in note for note in notes) == 1
    grid = Grid(
        properties=(toy.PROPERTY,),
        split=toy.SPLIT,
        features=(),
        text_sources=(),
        structure_encoders=(NAME,),
        text_encoders=(),
        predictors=("mlp", "gbt"),
        seeds=(0, 1),
    )
    notes = stored_benchmark(store, grid).notes
    assert sum(warning in note for note in notes) == 1
