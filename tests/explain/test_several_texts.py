"""Erasure, segments and words of models that read several texts beside other features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner
from linear_predictor import Linear, register

from explain.cli.root import explain
from explain.erasing.rows import seed_siblings
from explain.report.page import write_report
from explain.segments.analysis import segment_effects
from explain.tags.analysis import TagAnalysis, tag_effects
from explain.words.analysis import word_effects
from featurestore.errors import InvalidInputError, MissingContentError, UnknownNameError
from featurestore.store import FeatureStore
from featurestore.upkeep.verify import verify
from train.models import StoredModel
from train.training import train_model

ROBO, CHEM = "robocrystallographer", "chemnlp"
FEATURES = ("toy-text:chemnlp", "toy-graph.atom", "toy-text:robocrystallographer", "sql:n_atoms")
N = 60


@pytest.fixture(autouse=True)
def linear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register(monkeypatch, tmp_path / "site")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(
        tmp_path_factory.mktemp("texts") / "store",
        N,
        erased=toy.TAGS,
        sources=(ROBO, CHEM),
        structure_segments=(("atom", 0, 3), ("bond", 3, 4)),
    )


def train(store: FeatureStore, features: tuple[str, ...] = FEATURES) -> StoredModel:
    view = store.training_view(toy.PROPERTY, inputs=features, split=toy.SPLIT)
    return train_model(store, view, Linear(), 0).model


def full(i: int, source: str) -> np.ndarray:
    return toy.text_vector(s for _, s in toy.sentences(i, source))


def test_each_text_is_erased_in_its_own_columns(store):
    model = train(store)
    found = tag_effects(store, [model], TagAnalysis())
    assert [result.text for result in found] == [
        "toy-text:chemnlp",
        "toy-text:robocrystallographer",
    ]
    rows = store.sql(
        "SELECT method, material_id, prediction, erased_prediction AS erased FROM erasures "
        "WHERE variant = 'without:bond length' ORDER BY ALL"
    ).to_pylist()
    assert len({row["method"] for row in rows}) == 2
    weights = _weights(store, model)
    for row in rows:
        i = int(row["material_id"].removeprefix("toy-"))
        source, start = (CHEM, 0) if "chemnlp" in row["method"] else (ROBO, 6)
        lost = full(i, source) - toy.text_vector(
            s for tag, s in toy.sentences(i, source) if tag != "bond length"
        )
        expected = -float(lost @ weights[start : start + 3])
        assert row["erased"] - row["prediction"] == pytest.approx(expected, abs=1e-4)
    found = list(verify(store))
    assert not [finding for finding in found if finding.table == "erasures"], found


def test_one_text_can_be_chosen_and_read_again(store, tmp_path):
    model = train(store)
    (chosen,) = tag_effects(store, [model], TagAnalysis(text=CHEM))
    assert chosen.text == "toy-text:chemnlp"
    command = ["tags", "--model", model.model_id, "--quick", "--stored", "--text", ROBO]
    result = CliRunner().invoke(
        explain, [*command, "-o", str(tmp_path), "--store", store.uri], catch_exceptions=False
    )
    assert result.exit_code == 0 and "toy-text:robocrystallographer" in result.stdout
    with pytest.raises(UnknownNameError, match="text of model"):
        tag_effects(store, [model], TagAnalysis(text="nosuch"))


def test_a_model_of_one_text_keeps_its_names(store):
    model = train(store, ("toy-text:chemnlp", "toy-graph.bond"))
    (found,) = tag_effects(store, [model], TagAnalysis())
    assert (found.method, found.text) == ("deletion", CHEM)
    assert "text" not in found.parameters


def test_every_feature_is_silenced(store):
    (result,) = segment_effects(store, [train(store)], fold="test")
    names = [effect.segment for effect in result.effects]
    assert sorted(names) == sorted(
        ["toy-graph.atom", "sql:n_atoms", "toy-text:chemnlp", "toy-text:robocrystallographer"]
    )
    by_name = {effect.segment: effect for effect in result.effects}
    # every material has two atoms: the mean says the same
    assert by_name["sql:n_atoms"].change.value == pytest.approx(0, abs=1e-5)
    assert by_name["toy-graph.atom"].change.value > 0.1


def test_words_of_one_text_leave_the_other_features_alone(store):
    model = train(store)
    with pytest.raises(InvalidInputError, match="reads several texts, choose one with --text"):
        word_effects(store, [model], "toy-014", ["tag"], "deletion")
    (found,) = word_effects(store, [model], "toy-014", ["tag"], "deletion", CHEM)
    weights = _weights(store, model)
    for part in found.parts:
        lost = toy.text_vector(s for tag, s in toy.sentences(14, CHEM) if tag == part.unit.part)
        assert part.mean == pytest.approx(float(lost @ weights[:3]), abs=1e-4)


def test_what_is_missing_is_asked_for_by_its_own_source(store, tmp_path):
    bare = toy.make_store(tmp_path / "store", N, sources=(ROBO, CHEM))
    model = train(bare, ("toy-text:chemnlp", "toy-text:robocrystallographer"))
    with pytest.raises(MissingContentError) as raised:
        tag_effects(bare, [model])
    sources = [command[command.index("--text") + 1] for command in raised.value.commands]
    assert sources == [CHEM, ROBO]


@pytest.mark.slow
def test_the_report_has_a_section_for_each_text(store, tmp_path):
    model = train(store)
    tag_effects(store, [model], TagAnalysis())
    page: Path = tmp_path / "report.html"
    with store.session() as session:
        assert seed_siblings(session, model.model_id)
        write_report(session, model.model_id, page, store_uri=store.uri)
    text = page.read_text("utf-8")
    for source in (CHEM, ROBO):
        assert f"Kinds of sentences of toy-text:{source}" in text


def _weights(store: FeatureStore, model: StoredModel) -> np.ndarray:
    """The linear model's weights, from its predictions of unit vectors."""
    from train.predictors.loading import load_model

    loaded = load_model(store, model.model_id)
    width = loaded.predictor.n_features
    unit = np.vstack([np.zeros(width), np.eye(width)]).astype(np.float32)
    predicted = loaded.predict(unit)
    return predicted[1:] - predicted[0]
