from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result
from linear_predictor import Linear, register

from explain.cli.root import explain
from explain.segments.analysis import METHOD, segment_effects, stored_segment_effects
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.output.figures import figure_models
from featurestore.session import QueryError
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from featurestore.upkeep.verify import verify
from featurestore.views.features import VectorFeature
from featurestore.views.view import Block, view_parts
from train.models import StoredModel
from train.training import train_model

SEGMENTS = (("atom", 0, 1), ("bond", 1, 3), ("angle", 3, 4))
PARTS = {
    "structure": slice(0, 4),
    "structure.atom": slice(0, 1),
    "structure.bond": slice(1, 3),
    "structure.angle": slice(3, 4),
    "text": slice(4, 7),
}
# The toy's targets are this linear function of the vectors, so that least squares finds it.
WEIGHTS = np.array([1, 1, 1, 1, 0.5, 0.5, 0.5])
TRAIN, TEST = ([i for i in range(60) if toy.fold(i) == fold] for fold in ("train", "test"))


@cache
def _train(store: FeatureStore, features: str, seed: int = 0, shift: float = 0.0) -> StoredModel:
    view = store.training_view(toy.PROPERTY, **toy.view_request(features))
    return train_model(store, view, Linear(shift), seed).model


@pytest.fixture(autouse=True)
def linear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    register(monkeypatch, tmp_path / "site")
    yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    folder = tmp_path_factory.mktemp("stores") / "store"
    store = toy.make_store(folder, 60, structure_segments=SEGMENTS)
    for features in ("structure", "text", "structure+text"):
        _train(store, features)
    return store


def _features(indices: list[int]) -> np.ndarray:
    rows = []
    for i in indices:
        kept = [sentence for _, sentence in toy.sentences(i, "robocrystallographer")]
        rows.append(np.concatenate([toy.structure_vector(i), toy.text_vector(kept)]))
    return np.stack(rows).astype(np.float64)


def test_a_linear_model_has_a_closed_form(store: FeatureStore) -> None:
    (result,) = segment_effects(store, [_train(store, "structure+text")], fold="test")
    away = (_features(TEST) - _features(TRAIN).mean(axis=0)) * WEIGHTS
    assert result.n == len(TEST)
    assert [effect.segment for effect in result.effects] == list(PARTS)
    for effect in result.effects:
        # predictions are the targets, so that the error is the change
        expected = np.abs(away[:, PARTS[effect.segment]].sum(axis=1))
        assert effect.mae == pytest.approx(0, abs=1e-5)
        assert effect.difference.value == pytest.approx(expected.mean(), abs=1e-5)
        assert effect.change.value == pytest.approx(expected.mean(), abs=1e-5)
        assert effect.difference.low < expected.mean() < effect.difference.high
        assert effect.difference_std is None
        # 2 of 2^12 flips of 12 positive differences are as large; Holm: five tests
        assert effect.p == pytest.approx(5 * 2 / 2**12, abs=1.5e-3)


def test_results_are_rows_from_which_the_same_effects_come_again(store: FeatureStore) -> None:
    model = _train(store, "structure+text")
    (result,) = segment_effects(store, [model], fold="test")
    with store.session() as session:
        assert stored_segment_effects(session, [model], "test") == result
        assert stored_segment_effects(session, [model], "val").effects == ()
    rows = store.sql(
        "SELECT DISTINCT variant FROM erasures WHERE method = ? AND material_id = 'toy-004'",
        [METHOD],
    ).to_pylist()
    assert {row["variant"] for row in rows} >= {f"mean:{part}" for part in PARTS}
    segment_effects(store, [model], fold="test")
    last = store.sql("SELECT counts FROM runs ORDER BY started_at DESC LIMIT 1")
    assert last["counts"][0].as_py() == '{"erasures":0}'


@pytest.mark.slow
def test_seeds_are_averaged_with_their_spread(store: FeatureStore) -> None:
    models = [_train(store, "structure+text", seed, 0.1) for seed in (0, 1, 2)]
    (result,) = segment_effects(store, models, fold="test")
    singles = [segment_effects(store, [model], fold="test")[0].effects[0] for model in models]
    differences = [single.difference.value for single in singles]
    assert result.effects[0].difference.value == pytest.approx(np.mean(differences))
    assert result.effects[0].difference_std == pytest.approx(np.std(differences, ddof=1))
    assert result.effects[0].mae == pytest.approx(np.mean([single.mae for single in singles]))


def test_groups_are_compared_by_any_sql(store: FeatureStore) -> None:
    by = "CASE WHEN material_id < 'toy-030' THEN 'first' ELSE 'second' END"
    (result,) = segment_effects(store, [_train(store, "structure+text")], fold="test", by=by)
    away = np.abs(((_features(TEST) - _features(TRAIN).mean(axis=0)) * WEIGHTS)[:, :4].sum(axis=1))
    found = {e.group: e for e in result.effects if e.segment == "structure"}
    first = np.array(TEST) < 30
    assert list(found) == ["all", f"{by} = first", f"{by} = second"]
    assert found[f"{by} = first"].n == first.sum()
    for name, member in (("first", first), ("second", ~first)):
        difference = found[f"{by} = {name}"].difference.value
        assert difference == pytest.approx(away[member].mean(), abs=1e-5)
    with pytest.raises(QueryError, match="no_such_column"):
        segment_effects(store, [_train(store, "structure+text")], fold="test", by="no_such_column")


def test_a_model_of_the_structure_alone_has_no_text(store: FeatureStore) -> None:
    (result,) = segment_effects(store, [_train(store, "structure")], fold="test")
    assert [effect.segment for effect in result.effects] == list(PARTS)[:4]
    found = list(verify(store))
    assert not [finding for finding in found if finding.table == "erasures"], found


def test_a_single_segment_is_the_whole_vector() -> None:
    structure, text = VectorFeature("e"), VectorFeature("t", None, "g")
    blocks = [
        Block("structure", structure, 0, 4, (("structure.all", 0, 4),)),
        Block("text", text, 4, 7, (("text.a", 4, 5), ("text.b", 5, 7))),
    ]
    assert view_parts(blocks) == {
        "structure": (0, 4),
        "text": (4, 7),
        "text.a": (4, 5),
        "text.b": (5, 7),
    }


def test_bad_input(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no structure vector with segments"):
        segment_effects(store, [_train(store, "text")], fold="test")
    other = toy.make_store(tmp_path / "store", 20)
    model = _train(other, "structure+text")
    other.remove("predictions", "fold = 'val'")
    with pytest.raises(MissingDataError, match="no predictions for fold 'val'"):
        segment_effects(other, [model], fold="val")
    name = embedding_table("structure", toy.STRUCTURE_ENCODER)
    other.remove(name, "structure_id = 'structure-3' OR structure_id = 'structure-4'")
    with pytest.raises(MissingDataError, match=r"1 of the 16 .* lack a vector.* 'toy-004'"):
        segment_effects(other, [model], fold="test")
    other.remove("encoders", "kind = 'structure'")
    with pytest.raises(UnknownNameError, match="unknown structure encoder 'toy_graph_0000000001'"):
        segment_effects(other, [model], fold="test")


def _run(store: FeatureStore, *arguments: str) -> Result:
    command = ["segments", *arguments, "--store", store.uri]
    return CliRunner().invoke(explain, command, catch_exceptions=False)


def test_the_command_prints_and_draws(store: FeatureStore, tmp_path: Path) -> None:
    model = _train(store, "structure+text").model_id
    alone = _train(store, "structure").model_id
    path = tmp_path / "s.png"
    shown = _run(
        store, "--model", model, "--model", alone, "--by", "formula", "-o", str(path),
        "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    alone_parts = list(PARTS)[:4]
    assert [row["segment"] for row in rows] == [*alone_parts, *alone_parts, *PARTS, *PARTS]
    assert {row["group"] for row in rows} == {"all", "formula = NaCl"}
    assert figure_models(path) == sorted([model, alone])
    assert _run(store).exit_code == 2
    with pytest.raises(MissingDataError, match="no model of property 'slme'"):
        _run(store, "--property", "slme")


def test_attention_stands_beside_what_is_lost(tmp_path):
    from train.predictors.attention.recipe import Attention

    store = toy.make_store(tmp_path / "store", 60, structure_segments=SEGMENTS)
    view = store.training_view(toy.PROPERTY, **toy.view_request("structure+text"))
    recipe = Attention(members=1, width=8, heads=2, max_epochs=3)
    model = train_model(store, view, recipe, 0).model
    [found] = segment_effects(store, [model], fold="test", by="n_atoms")
    rows = {row["segment"]: row for row in found.table.to_pylist() if row["group"] == "all"}
    kept = model.metrics["attention"]
    assert rows["structure.bond"]["attention"] == pytest.approx(kept["structure.bond"])
    assert rows["text"]["attention"] == pytest.approx(kept["text.all"])
    parts = [rows[f"structure.{name}"]["attention"] for name, *_ in SEGMENTS]
    assert rows["structure"]["attention"] == pytest.approx(sum(parts))
    assert {r["attention"] for r in found.table.to_pylist() if r["group"] != "all"} == {None}
