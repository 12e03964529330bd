from __future__ import annotations

import csv
import io
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

from explain.cli import explain
from explain.heatmap import write_tag_heatmap
from explain.tags import tag_effects
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.schemas import embedding_table, table_schema
from featurestore.store import FeatureStore
from train.mlp import MLP
from train.models import StoredModel
from train.predictors import load_model
from train.training import train_model

SMALL = MLP(widths=(16,), learning_rate=3e-3, max_epochs=40, patience=20)
ROBO = "robocrystallographer"


def _train(
    store: FeatureStore, features: str = "structure+text", seed: int = 0, source: str = ROBO
) -> StoredModel:
    view = store.training_view(toy.PROPERTY, **toy.view_request(features, source))
    return train_model(store, view, SMALL, seed).model


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    folder = tmp_path_factory.mktemp("stores") / "store"
    store = toy.make_store(folder, 60, erased=toy.TAGS, sources=(ROBO, "chemnlp"))
    for seed in (0, 1):
        _train(store, seed=seed)
    _train(store, source="chemnlp")
    _train(store, "text")
    _train(store, "structure")
    return store


def _features(index: int, without: str | None) -> np.ndarray:
    kept = [sentence for tag, sentence in toy.sentences(index, ROBO) if tag != without]
    return np.concatenate([toy.structure_vector(index), toy.text_vector(kept)])


def test_effects_equal_a_brute_force_computation(store: FeatureStore) -> None:
    stored = _train(store)
    (result,) = tag_effects(store, [stored], fold="test", tagger="store")
    model = load_model(store, stored.model_id)
    indices = [index for index in range(60) if toy.fold(index) == "test"]
    targets = np.array([toy.target(index) for index in indices])

    def mae(without: str | None) -> float:
        features = np.stack([_features(index, without) for index in indices])
        return float(np.abs(model.predict(features) - targets).mean())

    assert result.n == len(indices) == 12
    assert [effect.tag for effect in result.effects] == list(toy.TAGS)
    for effect in result.effects:
        with_tag = [i for i in indices if effect.tag in dict(toy.sentences(i, ROBO))]
        assert effect.n_with_tag == len(with_tag)
        assert effect.mae == pytest.approx(mae(None), rel=1e-6)
        assert effect.erased_mae == pytest.approx(mae(effect.tag), rel=1e-6)
        assert effect.comprehensiveness_std is None
    rows = store.sql(
        "SELECT variant, count(*) AS n, avg(abs(erased_prediction - target)) AS mae "
        "FROM erasures WHERE model_id = ? GROUP BY variant ORDER BY variant",
        [stored.model_id],
    ).to_pylist()
    assert [(row["variant"], row["n"]) for row in rows] == [
        ("without:bond length", 12),
        ("without:other", 12),
        ("without:summary", 12),
    ]
    assert rows[0]["mae"] == pytest.approx(mae("bond length"), rel=1e-6)


def test_seeds_share_a_row_and_a_second_run_writes_nothing(store: FeatureStore) -> None:
    models = [_train(store, seed=0), _train(store, seed=1)]
    (result,) = tag_effects(store, models, fold="val", tagger="store")
    effect = result.effects[0]
    singles = [erasure.comprehensiveness for erasure in effect.erasures]
    assert effect.comprehensiveness == pytest.approx(np.mean(singles))
    assert effect.comprehensiveness_std == pytest.approx(np.std(singles, ddof=1))
    tag_effects(store, models, fold="val", tagger="store")
    last = store.sql("SELECT counts FROM runs ORDER BY started_at DESC LIMIT 1")
    assert last["counts"][0].as_py() == '{"erasures":0}'


def test_the_reference_tagger_erases_the_overlapping_tags(store: FeatureStore) -> None:
    (result,) = tag_effects(store, [_train(store)], fold="test", tagger="reference")
    assert [(e.tag, e.variant) for e in result.effects] == [
        ("summary", "without:reference:summary"),
        ("bond length", "without:reference:bond length"),
    ]


def test_missing_variants_name_the_command(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40, erased=["summary"])
    with pytest.raises(MissingDataError) as caught:
        tag_effects(store, [_train(store)], fold="test", tagger="store")
    assert "4 for 'without:bond length', 1 for 'without:other'; of 8 materials" in str(caught.value)
    command = shlex.split(str(caught.value).splitlines()[-1])
    expected = (
        "featurestore ingest embeddings --encoder toy-text --source robocrystallographer "
        "--variant 'without:bond length' --variant without:other --property mbj_bandgap "
        f"--split toy --fold test --store {store.uri}"
    )
    assert command == shlex.split(expected)
    assert "erasures" not in store.tables()
    toy.embed_texts(store, range(40), ROBO, ["bond length", "other"])
    assert tag_effects(store, [_train(store)], fold="test", tagger="store")


def test_a_model_without_text_is_refused(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="it has no text to erase from"):
        tag_effects(store, [_train(store, "structure")], fold="test", tagger="store")


def test_a_model_of_a_variant_is_refused(store: FeatureStore) -> None:
    request = toy.view_request("text") | {"variant": "without:summary"}
    model = train_model(store, store.training_view(toy.PROPERTY, **request), SMALL, 0).model
    with pytest.raises(InvalidInputError, match="trained on the variant 'without:summary'"):
        tag_effects(store, [model], fold="test", tagger="store")


def test_changed_vectors_are_noticed(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40, erased=toy.TAGS)
    model = _train(store)
    name = embedding_table("structure", toy.STRUCTURE_ENCODER)
    rows = store.sql(f'FROM "{name}"').to_pylist()
    moved = [row | {"vector": [1.0] * toy.STRUCTURE_WIDTH} for row in rows]
    schema = table_schema(name, toy.STRUCTURE_WIDTH).schema
    store.remove(name, "true")
    store.merge(name, pa.Table.from_pylist(moved, schema=schema))
    with pytest.raises(InvalidInputError, match="no longer gives its stored predictions"):
        tag_effects(store, [model], fold="test", tagger="store")


def test_the_heatmap_keeps_other_tags_apart_and_bears_a_perfect_model(
    store: FeatureStore, tmp_path: Path
) -> None:
    import matplotlib.image

    (result,) = tag_effects(store, [_train(store)], fold="test", tagger="store")
    fewer = replace(result, effects=result.effects[:2])
    exact = tuple(
        replace(erasure, predictions=erasure.targets) for erasure in result.effects[0].erasures
    )
    perfect = replace(result, effects=(replace(result.effects[0], erasures=exact),))
    widths = []
    for number, results in enumerate(([result], [result, fewer], [perfect])):
        path = tmp_path / f"{number}.png"
        write_tag_heatmap(results, path)
        widths.append(matplotlib.image.imread(path).shape[1])
    assert widths[1] > 1.5 * widths[0]


def _run(store: FeatureStore, *arguments: str) -> Result:
    command = ["tags", *arguments, "--store", store.uri]
    return CliRunner().invoke(explain, command, catch_exceptions=False)


def test_the_command_prints_the_table_and_writes_the_heatmap(
    store: FeatureStore, tmp_path: Path
) -> None:
    shown = _run(
        store, "--property", toy.PROPERTY, "--split", toy.SPLIT, "-o", str(tmp_path),
        "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [(row["text_source"], row["seeds"], row["tag"]) for row in rows] == [
        *(("chemnlp", "1", tag) for tag in toy.TAGS),
        *((ROBO, "2", tag) for tag in toy.TAGS),
    ]
    difference = float(rows[0]["mae_erased"]) - float(rows[0]["mae_full"])
    assert float(rows[0]["difference"]) == pytest.approx(difference)
    assert (tmp_path / "tags_mbj_bandgap_test_store.png").stat().st_size > 10_000


def test_models_can_be_named_by_their_beginning(store: FeatureStore, tmp_path: Path) -> None:
    text = _train(store, "text").model_id
    shown = _run(store, "--model", text[:-3], "--model", text, "-o", str(tmp_path))
    assert "features           text" in shown.stdout
    assert shown.stdout.count("bond length") == 1


@pytest.mark.parametrize("arguments", [[], ["--model", "mbj", "--property", "mbj_bandgap"]])
def test_misuse_is_exit_code_2(store: FeatureStore, arguments: list[str]) -> None:
    assert _run(store, *arguments).exit_code == 2


def test_no_such_model(store: FeatureStore) -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'slme_x'"):
        _run(store, "--model", "slme_x")
    with pytest.raises(MissingDataError, match="no model of structure and full text"):
        _run(store, "--property", "slme")
