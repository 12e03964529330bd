from __future__ import annotations

import csv
import io
import shlex
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result

import featurestore.cli
from explain.cli.root import explain
from explain.erasing.effects_table import StoredEffects, stored_effects
from explain.tags.analysis import TagAnalysis, tag_effects
from explain.tags.heatmap import tags_figure, write_tag_heatmap
from featurestore.errors import (
    InvalidInputError,
    MissingContentError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.identity import text_id
from featurestore.output.figures import figure_models
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table, table_schema
from train.models import SeedGroup, StoredModel
from train.predictors.loading import load_model
from train.predictors.mlp import MLP
from train.training import train_model

SMALL = MLP(widths=(16,), learning_rate=3e-3, max_epochs=40, patience=20)
ROBO = "robocrystallographer"


@cache  # the second time it is only found, at the price of a view
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
    (result,) = tag_effects(store, [stored])
    model = load_model(store, stored.model_id)
    indices = [index for index in range(60) if toy.fold(index) == "test"]
    targets = np.array([toy.target(index) for index in indices])

    def mae(without: str | None) -> float:
        features = np.stack([_features(index, without) for index in indices])
        return float(np.abs(model.predict(features) - targets).mean())

    assert result.tags == toy.TAGS
    whole = result.find("mae")
    assert (whole.n, whole.value) == (len(indices), pytest.approx(mae(None), rel=1e-6))
    for tag in toy.TAGS:
        with_tag = [i for i in indices if tag in dict(toy.sentences(i, ROBO))]
        assert result.find("n_with_tag", tag).n == len(with_tag)
        found = result.find("comprehensiveness", tag)
        assert found.value == pytest.approx(mae(tag) - mae(None), abs=1e-6)
        assert found.low <= found.value <= found.high and found.std is None
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


@pytest.mark.slow
def test_seeds_share_a_row_and_a_second_run_writes_nothing(store: FeatureStore) -> None:
    models = [_train(store, seed=0), _train(store, seed=1)]
    validation = TagAnalysis("val")
    (result,) = tag_effects(store, models, validation)
    singles = [
        tag_effects(store, [model], validation)[0].find("comprehensiveness", "summary").value
        for model in models
    ]
    found = result.find("comprehensiveness", "summary")
    assert found.value == pytest.approx(np.mean(singles))
    assert found.std == pytest.approx(np.std(singles, ddof=1))
    tag_effects(store, models, validation)
    last = store.sql("SELECT counts FROM runs ORDER BY started_at DESC LIMIT 1")
    assert last["counts"][0].as_py() == '{"effects":0,"erasures":0}'


def test_the_reference_tagger_erases_the_overlapping_tags(store: FeatureStore) -> None:
    (result,) = tag_effects(store, [_train(store)], TagAnalysis(tagger="reference"))
    assert result.tags == ("summary", "bond length")
    variants = store.sql("SELECT DISTINCT variant FROM erasures")["variant"].to_pylist()
    assert {"without:reference:summary", "without:reference:bond length"} <= set(variants)


def test_masking_does_not_go_with_overlapping_tags() -> None:
    with pytest.raises(InvalidInputError, match="those of the reference overlap"):
        TagAnalysis(tagger="reference", erasure="mask")


def test_missing_variants_name_the_command(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40, erased=["summary"])
    with pytest.raises(MissingDataError) as caught:
        tag_effects(store, [_train(store)])
    assert "4 for 'without:bond length', 1 for 'without:other'; of 8 materials" in str(caught.value)
    command = shlex.split(str(caught.value).splitlines()[-1])
    expected = (
        "featurestore ingest embeddings --encoder toy-text --text robocrystallographer "
        "--variant without:each --property mbj_bandgap "
        f"--split toy --fold test --store {store.uri}"
    )
    assert command == shlex.split(expected)
    assert "erasures" not in store.tables()
    toy.embed_texts(store, range(40), ROBO, ["bond length", "other"])
    assert tag_effects(store, [_train(store)])


def test_a_full_analysis_asks_for_sets_and_controls_by_their_shorthands(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40)
    model = _train(store)
    for analysis, variants in (
        (TagAnalysis(control_seeds=(3,), sets=True),
         ["without:subsets", "without:random:3:each", "without:random-words:3:each"]),
        (TagAnalysis(erasure="mask", sets=True), ["mask:subsets"]),
        (TagAnalysis(tagger="reference", sets=True),
         ["without:reference:subsets", "only:reference:each"]),
    ):  # fmt: skip
        with pytest.raises(MissingContentError) as caught:
            tag_effects(store, [model], analysis)
        (command,) = caught.value.commands
        asked = [after for word, after in pairwise(command) if word == "--variant"]
        assert asked == variants


def test_retraining_asks_for_the_variant_of_every_fold(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40, erased=toy.TAGS)
    name = embedding_table("text", toy.TEXT_ENCODER)
    lost = text_id(f"{ROBO} bonds of 0 are long. {ROBO} adds a word on 0.")
    store.remove(name, f"text_id = '{lost}'")
    with pytest.raises(MissingContentError, match=r"vectors of 1 .* texts are missing") as caught:
        tag_effects(store, [_train(store)], TagAnalysis(retrain=True))
    (command,) = caught.value.commands
    assert "--fold" not in command and "without:each" in command


@pytest.mark.slow
def test_retraining_asks_for_all_that_is_missing_at_once(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40)
    model = _train(store)
    with pytest.raises(MissingContentError) as caught:
        tag_effects(store, [model], TagAnalysis(retrain=True))
    of_fold, of_all = caught.value.commands
    assert "--fold" in of_fold and "--fold" not in of_all
    assert [model.model_id] == store.sql("SELECT model_id FROM models")["model_id"].to_pylist()
    toy.embed_texts(store, range(40), ROBO, toy.TAGS)
    assert tag_effects(store, [model], TagAnalysis(retrain=True))


def test_a_model_without_text_is_refused(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="it has no text to erase from"):
        tag_effects(store, [_train(store, "structure")])


def test_a_model_of_a_variant_is_refused(store: FeatureStore) -> None:
    request = toy.view_request("text") | {"variant": "without:summary"}
    model = train_model(store, store.training_view(toy.PROPERTY, **request), SMALL, 0).model
    with pytest.raises(InvalidInputError, match="trained on the variant 'without:summary'"):
        tag_effects(store, [model])


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
        tag_effects(store, [model])


def test_a_model_whose_encoder_is_gone_is_named(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40, erased=toy.TAGS)
    model = _train(store)
    store.remove("encoders", "kind = 'text'")
    with pytest.raises(UnknownNameError, match=f"unknown text encoder '{toy.TEXT_ENCODER}'"):
        tag_effects(store, [model])


def test_a_material_whose_text_is_gone_is_named(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40, erased=toy.TAGS)
    model = _train(store)
    store.remove("sentences", "structure_id = 'structure-9'")
    with pytest.raises(MissingDataError, match=r"1 of the 8 materials have no .* text, .*toy-009"):
        tag_effects(store, [model])


def test_a_structure_whose_vector_is_gone_is_named(tmp_path: Path) -> None:
    store = toy.make_store(tmp_path / "store", 40, erased=toy.TAGS)
    model = _train(store)
    name = embedding_table("structure", toy.STRUCTURE_ENCODER)
    store.remove(name, "structure_id = 'structure-9'")
    with pytest.raises(MissingDataError, match=r"vectors of 1 structures are missing, .*toy-009"):
        tag_effects(store, [model])


def test_one_material_of_one_sentence_has_values_without_certainty(tmp_path: Path) -> None:
    # Of ten materials two are tested on; without its folds for one, a single one is left.
    store = toy.make_store(tmp_path / "store", 10, erased=toy.TAGS)
    store.remove("splits", "material_id = 'toy-004'")
    (result,) = tag_effects(store, [_train(store)])
    assert toy.sentences(9, ROBO) == [("summary", f"{ROBO} summarises material 9.")]
    found = result.find("comprehensiveness", "summary")
    assert (found.n, found.low, found.high, found.p) == (1, None, None, None)
    # Tags that no text has are listed, and nothing is said of them.
    assert result.find("n_with_tag", "bond length").n == 0
    assert result.find("comprehensiveness", "bond length") is None


@pytest.mark.slow
def test_the_figure_keeps_text_sources_apart_and_bears_a_perfect_model(
    store: FeatureStore, tmp_path: Path
) -> None:
    import matplotlib.image

    results = tag_effects(store, [_train(store), _train(store, source="chemnlp")])
    assert [result.models[0].text_source for result in results] == ["chemnlp", ROBO]
    perfect = tuple(
        replace(row, value=0.0) if row.measure == "mae" else row for row in results[0].measures
    )
    sizes = []
    for number, shown in enumerate(
        ([results[0]], results, [replace(results[0], measures=perfect)])
    ):
        path = tmp_path / f"{number}.png"
        write_tag_heatmap(shown, path)
        sizes.append(matplotlib.image.imread(path).shape[0])
    assert sizes[1] > 1.5 * sizes[0]
    assert figure_models(tmp_path / "1.png") == sorted(r.models[0].model_id for r in results)


def test_the_heatmap_colours_what_is_significant_and_by_one_scale(store: FeatureStore) -> None:
    (result,) = tag_effects(store, [_train(store)])
    mae = result.find("mae").value

    def with_p(p: float | None, change: float) -> StoredEffects:
        return replace(
            result,
            measures=tuple(
                replace(row, p_holm=p, value=change * mae)
                if (row.measure, row.part) == ("comprehensiveness", "summary")
                else replace(row, p_holm=1.0)
                for row in result.measures
            ),
        )

    for p, coloured in ((0.04, 21.0), (0.06, 0.0), (None, 0.0)):
        figure = tags_figure([with_p(p, 0.21)])
        heatmap, intervals = figure.axes[:2]
        (image,) = heatmap.get_images()
        assert image.get_clim() == (-30, 30), "two figures can be compared"
        values = image.get_array()
        assert float(values[1, 0]) == pytest.approx(coloured)
        assert np.count_nonzero(np.asarray(values)) == (p == 0.04)
        said = [text.get_text() for text in heatmap.texts]
        assert any("+21 %" in text for text in said)
        assert any("p = 0.04" in text for text in said) == (p == 0.04)
        assert f"n = {result.find('mae').n}" in heatmap.get_xticklabels()[0].get_text()
        faces = {line.get_markerfacecolor() for line in intervals.lines if line.get_marker() == "o"}
        assert ("white" in faces) and (len(faces - {"white"}) == (p == 0.04))


def test_stored_effects_are_those_that_were_computed(store: FeatureStore) -> None:
    models = SeedGroup((_train(store, seed=0), _train(store, seed=1)))
    (computed,) = tag_effects(store, models)
    with store.session() as session:
        (read,) = stored_effects(session, [(models, "deletion")], {"fold": "test", "sets": False})
        with pytest.raises(MissingDataError, match=r"no analysis of .* is stored"):
            stored_effects(session, [(models, "deletion")], {"fold": "train"})
    assert isinstance(read, StoredEffects) and read.measures == computed.measures


def _run(store: FeatureStore, *arguments: str) -> Result:
    command = ["tags", *arguments, "--store", store.uri]
    return CliRunner().invoke(explain, command, catch_exceptions=False)


def test_the_command_prints_the_table_and_writes_the_figure(
    store: FeatureStore, tmp_path: Path
) -> None:
    arguments = ["--property", toy.PROPERTY, "--split", toy.SPLIT, "--quick", "--format", "csv"]
    shown = _run(store, *arguments, "-o", str(tmp_path))
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [(row["text_source"], row["seeds"], row["tag"]) for row in rows] == [
        *(("chemnlp", "1", tag) for tag in toy.TAGS),
        *((ROBO, "2", tag) for tag in toy.TAGS),
    ]
    assert "control" not in rows[0]
    assert float(rows[0]["low"]) <= float(rows[0]["difference"]) <= float(rows[0]["high"])
    assert "0 % of the texts are cut" in shown.stderr
    path = tmp_path / "tags_mbj_bandgap_test_store.png"
    assert path.stat().st_size > 10_000
    path.unlink()
    # Nothing but the stored rows is needed to show it again.
    again = _run(store, *arguments, "-o", str(tmp_path), "--stored")
    assert again.stdout == shown.stdout and path.stat().st_size > 10_000


@pytest.mark.slow
def test_the_command_can_make_what_is_missing(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = toy.make_store(tmp_path / "store", 40)
    model = _train(store)
    asked = []

    def ingest(arguments: list[str], **_: object) -> None:
        asked.append(arguments)
        toy.embed_texts(store, range(40), ROBO, toy.TAGS)

    monkeypatch.setattr(featurestore.cli.root, "main", ingest)
    command = ["--model", model.model_id, "--quick", "-o", str(tmp_path)]
    with pytest.raises(MissingContentError):
        _run(store, *command)
    assert asked == []
    assert "summary" in _run(store, *command, "--encode").stdout
    ((*start, _),) = asked
    assert start[:2] == ["ingest", "embeddings"]


def test_models_can_be_named_by_their_beginning(store: FeatureStore, tmp_path: Path) -> None:
    text = _train(store, "text").model_id
    command = ["--model", text[:-3], "--model", text, "--quick", "-o", str(tmp_path)]
    shown = _run(store, *command)
    assert "features           text" in shown.stdout
    assert shown.stdout.count("bond length") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--model", "mbj", "--property", "mbj_bandgap"],
        ["--property", "mbj_bandgap", "--stored", "--encode"],
    ],
)
def test_misuse_is_exit_code_2(store: FeatureStore, arguments: list[str]) -> None:
    assert _run(store, *arguments).exit_code == 2


def test_no_such_model(store: FeatureStore) -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'slme_x'"):
        _run(store, "--model", "slme_x")
    with pytest.raises(MissingDataError, match="no model of property 'slme'"):
        _run(store, "--property", "slme")
