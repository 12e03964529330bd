from __future__ import annotations

import csv
import io
import math
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import click
import matplotlib.image
import numpy as np
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result
from html_page import check_alone
from linear_predictor import Linear, register

import explain.cli.words
from explain.cli.root import explain as group
from explain.drawing.colours import direction, tint
from explain.drawing.printed import number
from explain.erasing.rows import seed_siblings
from explain.report.page import write_report
from explain.words.analysis import word_curves, word_effects
from explain.words.contributions import Contribution, Contributions, stored_contributions
from explain.words.control import control_said, control_spread, levels
from explain.words.curves import SHARES, curve_variants, random_orders, ranking, top
from explain.words.description import Description, Sentence, Unit, describe, is_number
from explain.words.page import write_words_page
from explain.words.terminal import coloured_text, summary
from featurestore.catalogue import find_generator
from featurestore.errors import (
    InvalidInputError,
    MissingContentError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.output.figures import figure_models
from featurestore.store import FeatureStore
from featurestore.texts.variants import MASK
from ingest.stages.variants import read_variants_file, texts_asked_for
from train.models import SeedGroup, StoredModel
from train.training import train_model

ROBO = "robocrystallographer"
GENERATOR = f"{ROBO}_0000000003"
# Of the test fold; its text has three sentences, one for each tag.
MATERIAL, INDEX = "toy-014", 14


def bag_of_words(kept: Sequence[str]) -> np.ndarray:
    """The vector of a text is the sum of its words' vectors, shape (3,), float32."""
    words = [word for sentence in kept for word in sentence.split()]
    return sum((toy.sentence_vector(word) for word in words), np.zeros(3)).astype(np.float32)


def value(word: str) -> float:
    """What a word adds to the toy's target, a linear function of the text's vector."""
    return 0.5 * float(toy.sentence_vector(word).astype(np.float64).sum())


WORDS = " ".join(sentence for _, sentence in toy.sentences(INDEX, ROBO)).split()
VALUES = np.array([value(word) for word in WORDS])


@cache
def _train(
    store: FeatureStore, features: str = "structure+text", seed: int = 0, **asked: str
) -> StoredModel:
    view = store.training_view(toy.PROPERTY, **(toy.view_request(features) | asked))
    return train_model(store, view, Linear(), seed).model


def encode(store: FeatureStore, variants: Sequence[str], index: int = INDEX) -> None:
    """What `featurestore ingest embeddings --material … --variant …` does, for the toy encoder."""
    with store.session() as session:
        generator = find_generator(session, GENERATOR)
        tables = texts_asked_for(session, generator, [f"structure-{index}"], variants)
        vectors = {
            row["text_id"]: bag_of_words([row["text"]])
            for table in tables
            for row in table.to_pylist()
        }
    toy._merge_vectors(store, "text", toy.TEXT_ENCODER, "text_id", vectors)


@pytest.fixture(autouse=True)
def linear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    register(monkeypatch, tmp_path / "site")
    monkeypatch.setattr(toy, "text_vector", bag_of_words)
    yield


def _make(folder: Path, n: int = 60, **asked: object) -> FeatureStore:
    return toy.make_store(folder, n, **asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "text_vector", bag_of_words)
        store = _make(tmp_path_factory.mktemp("stores") / "store")
        for rule in ("without", "mask"):
            tags = [f"{rule}:{tag}" for tag in toy.TAGS]
            encode(store, [*tags, f"{rule}:sentence:each", f"{rule}:word:each"])
        yield store


@pytest.mark.parametrize("erasure", ["deletion", "mask"])
def test_a_linear_model_of_a_bag_of_words_has_a_closed_form(
    store: FeatureStore, erasure: str
) -> None:
    models = [_train(store)]
    kinds = ("word", "number", "sentence", "tag")
    words, numbers, sentences, tags = word_effects(store, models, MATERIAL, kinds, erasure)
    put = value(MASK) if erasure == "mask" else 0.0
    expected = VALUES - put
    assert [part.mean for part in words.parts] == pytest.approx(expected, abs=1e-5)
    assert [part.unit.text for part in numbers.parts] == ["14.", "14", "14."]
    assert [part.mean for part in numbers.parts] == pytest.approx(
        [value(word) - put for word in ("14.", "14", "14.")], abs=1e-5
    )
    lengths = [len(sentence.split()) for _, sentence in toy.sentences(INDEX, ROBO)]
    ends = np.cumsum([0, *lengths])
    for place, part in enumerate(sentences.parts):
        of = expected[ends[place] : ends[place + 1]]
        assert part.mean == pytest.approx(of.sum(), abs=1e-5)
        assert part.std is None
    assert [part.unit.part for part in tags.parts] == ["summary", "bond length", "other"]
    assert [part.mean for part in tags.parts] == pytest.approx(
        [part.mean for part in sentences.parts]
    )
    assert words.prediction == pytest.approx(toy.target(INDEX), abs=1e-5)


@pytest.mark.parametrize("erasure", ["deletion", "mask"])
def test_the_curves_of_a_linear_model_have_a_closed_form(store: FeatureStore, erasure: str) -> None:
    models = [_train(store)]
    (words,) = word_effects(store, models, MATERIAL, ["word"], erasure)
    with pytest.raises(MissingContentError) as caught:
        word_curves(store, words, orders=3, seed=1)
    (command,) = caught.value.commands
    asked = [after for word, after in pairwise(command) if word == "--variant"]
    assert len(asked) > 8
    encode(store, asked)
    comprehensiveness, sufficiency = word_curves(store, words, orders=3, seed=1)
    n = len(WORDS)
    assert n == 16
    gone = VALUES - (value(MASK) if erasure == "mask" else 0.0)
    by_size = list(np.argsort(-np.abs(gone), kind="stable"))
    for curve, keep in ((comprehensiveness, False), (sufficiency, True)):
        for order, found in zip(
            [by_size, *random_orders(n, 3, 1)], [curve.ranked, *curve.random], strict=True
        ):
            expected = []
            for share in SHARES:
                first = order[: math.ceil(round(share * n, 9))]
                erased = sorted(set(range(n)) - set(first)) if keep else first
                expected.append(abs(gone[erased].sum()))
            assert found == pytest.approx(np.array([expected]), abs=2e-5)
        assert curve.aopc == pytest.approx(curve.ranked.mean())
        assert curve.aopc_std is None
    assert comprehensiveness.measure == "comprehensiveness"


def test_shares_are_rounded_up_and_words_are_nested() -> None:
    order = [*range(20, 0, -1), 0]
    assert [len(top(order[:20], share)) for share in SHARES] == [1, 1, 2, 4, 10]
    assert set(top(order, 0.1)) <= set(top(order, 0.2)) <= set(top(order, 0.5))
    assert ranking(np.array([0.1, -3.0, 0.1])) == [1, 0, 2]
    assert random_orders(5, 2, 7) == random_orders(5, 2, 7) != random_orders(5, 2, 8)


def test_a_text_of_one_word_is_its_own_rationale(store: FeatureStore) -> None:
    with store.session() as session:
        description = describe(session, MATERIAL, GENERATOR)
    one = description.sentences[0].words[:1]
    alone = type(description)(
        *("x", "Na", "s", GENERATOR, ROBO), (type(description.sentences[0])("summary", one, 0),)
    )
    variants = curve_variants(alone, [0], "mask")
    assert set(variants.values()) == {"mask:word:0", "full"}


@pytest.mark.slow
def test_seeds_are_averaged_with_their_spread_and_rows_are_not_written_twice(
    store: FeatureStore,
) -> None:
    models = [
        train_model(
            store,
            store.training_view(toy.PROPERTY, **toy.view_request("text")),
            Linear(0.1),
            seed,
        ).model
        for seed in (0, 1, 2)
    ]
    with store.session() as session:
        assert seed_siblings(session, models[1].model_id) == SeedGroup(tuple(models))
    (words,) = word_effects(store, models, MATERIAL, ["word"], "deletion")
    first = words.parts[0]
    # a seed adds a tenth of it to each weight
    total = float(toy.sentence_vector(WORDS[0]).astype(np.float64).sum())
    steps = np.array(first.by_seed) - first.by_seed[0]
    assert steps == pytest.approx([0, 0.1 * total, 0.2 * total], abs=1e-5)
    assert first.std == pytest.approx(0.1 * abs(total), abs=1e-5)
    word_effects(store, models, MATERIAL, ["word"], "deletion")
    last = store.sql("SELECT counts FROM runs ORDER BY started_at DESC LIMIT 1")
    assert last["counts"][0].as_py() == '{"erasures":0}'
    with store.session() as session:
        description = describe(session, MATERIAL, GENERATOR)
        again = stored_contributions(session, models, words.text, description, "word", "deletion")
    assert again == words


def test_bad_input(store: FeatureStore, tmp_path: Path) -> None:
    hybrid = [_train(store)]

    def effects(models: list[StoredModel], material: str, kind: str = "word") -> object:
        return word_effects(store, models, material, [kind], "deletion")

    with pytest.raises(UnknownNameError, match="unknown material 'toy-O14'; did you mean"):
        effects(hybrid, "toy-O14")
    with pytest.raises(InvalidInputError, match="no text to erase from"):
        effects([_train(store, "structure")], MATERIAL)
    with pytest.raises(InvalidInputError, match="is one sentence: without it nothing is left"):
        effects(hybrid, "toy-001", "sentence")
    with pytest.raises(InvalidInputError, match="is one tag"):
        effects(hybrid, "toy-001", "tag")
    with pytest.raises(InvalidInputError, match="numbered 0 to 15"):
        encode(store, ["without:word:16"])
    encode(store, ["without:summary"])
    other = _make(tmp_path / "store", 20, with_text=19)
    model = [_train(other, "text")]
    with pytest.raises(MissingDataError, match=r"'toy-019' has no text[^$]*--material toy-019"):
        word_effects(other, model, "toy-019", ["word"], "deletion")
    other.remove("encoders", "kind = 'text'")
    with pytest.raises(UnknownNameError, match="unknown text encoder 'toy_text_0000000002'"):
        word_effects(other, model, "toy-004", ["word"], "deletion")


def test_a_material_without_a_target_is_explained_like_any_other(tmp_path: Path) -> None:
    store = _make(tmp_path / "store", 20)
    model = _train(store)
    store.merge_rows("materials", [toy._material(14) | {"material_id": "untargeted"}])
    encode(store, ["without:word:each"])
    (found,) = word_effects(store, [model], "untargeted", ["word"], "deletion")
    assert [part.mean for part in found.parts] == pytest.approx(VALUES, abs=1e-5)
    assert found.target is None and ": target" not in summary(found)
    assert found.table["target"].null_count == found.table.num_rows
    write_words_page([found], (), tmp_path / "page.html")
    assert store.sql("SELECT count(*) AS n FROM erasures")["n"][0].as_py() == 0


def test_a_model_of_a_variant_is_refused(tmp_path: Path) -> None:
    store = _make(tmp_path / "store", 20, erased=["summary"])
    model = _train(store, "text", variant="without:summary")
    with pytest.raises(InvalidInputError, match="trained on the variant 'without:summary'"):
        word_effects(store, [model], "toy-004", ["word"], "deletion")


def test_words_with_digits_and_no_letters_are_numbers() -> None:
    words = ["2.95", "(0,", "3.1–3.4", "-1)", "12-coordinate", "Fe2O3", "Å.", "and", "Pm-3m"]
    assert [is_number(word) for word in words] == [True] * 4 + [False] * 5


def test_colours_are_light_enough_for_black_letters_and_mirrored() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        parts = [c / 255 for c in colour]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for level in np.linspace(-1.2, 1.2, 25):
        assert (luminance(tint(level)) + 0.05) / 0.05 > 4.5
    assert tint(0) == tint(math.nan) == (255, 255, 255)
    assert [direction(level) for level in (0.5, -0.5, 0.01, math.nan)] == [
        "raises", "lowers", "", "",
    ]  # fmt: skip


def _found(text: str, values: Sequence[float], controls: Sequence[float] = ()) -> Contributions:
    words = tuple(text.split())
    parts = tuple(
        Contribution(Unit("word", f"word:{i}", word, (i,)), (value,), tuple(controls))
        for i, (word, value) in enumerate(zip(words, values, strict=True))
    )
    sentence = Sentence("summary", words, 0)
    description = Description("m", "NaCl", "s", GENERATOR, ROBO, (sentence,))
    model = SimpleNamespace(parameters=SimpleNamespace(classes=(), unit="eV"))
    group = SimpleNamespace(first=model)
    return Contributions(group, None, description, "word", "deletion", None, 1.0, parts)  # type: ignore[arg-type]


def test_only_what_exceeds_the_function_words_is_coloured() -> None:
    found = _found(
        "The Fe atom is in the octahedra of O atoms and a Cr site",
        [0.1, 0.9, 0.05, -0.1, 0.1, 0.2, -0.5, 0.1, 0.15, 0.0, -0.1, 0.1, 0.01, -0.02],
    )
    spread = control_spread(found)
    assert spread == pytest.approx(np.percentile([0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1], 95))
    expected = np.zeros(14)
    expected[1], expected[6] = 1.0, -(0.5 - spread) / (0.9 - spread)
    assert levels(found) == pytest.approx(expected), "'the' with 0.2 is a control as well"
    assert "as 95 % of the 7 function words (is, the, of …) do" in control_said(found)
    quiet = _found("the of is a in Fe", [0.1, 0.1, 0.1, 0.1, 0.1, 0.05])
    assert not levels(quiet).any() and control_said(quiet).endswith("here all")


def test_too_few_function_words_are_no_control_and_random_sentences_are_one() -> None:
    found = _found("Fe the O", [0.5, -0.25, 0.0])
    assert levels(found) == pytest.approx([1, -0.5, 0]) and control_said(found) == ""
    drawn = _found("Fe O", [0.5, -0.25], controls=[0.2, -0.4])
    assert levels(drawn) == pytest.approx([1, 0])
    assert "no more than as many random sentences do" in control_said(drawn)


@pytest.fixture
def words(store: FeatureStore) -> Contributions:
    return word_effects(store, [_train(store)], MATERIAL, ["word"], "deletion")[0]


def test_the_coloured_text_of_a_terminal_has_every_word_once(words: Contributions) -> None:
    text = coloured_text(words, 40)
    assert click.unstyle(text).split() == WORDS
    assert all(len(line) <= 40 for line in click.unstyle(text).splitlines())
    strongest = WORDS[int(np.argmax(np.abs(VALUES)))]
    red, green, blue = tint(math.copysign(1.0, VALUES[np.argmax(np.abs(VALUES))]))
    assert re.search(rf"48;2;{red};{green};{blue}m(\x1b\[4m)?{strongest}", text)
    assert "each word deleted" in click.unstyle(summary(words))
    assert words.moves and f"by up to {number(words.largest)} " in summary(words)
    still = replace(words, parts=tuple(replace(one, by_seed=(0.0,)) for one in words.parts))
    assert "the prediction by nothing: no word changes it" in summary(still)


@pytest.mark.slow
def test_the_page_goes_from_tags_to_words_and_escapes(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ["tag", "sentence", "word"]
    found = word_effects(store, [_train(store)], MATERIAL, kinds, "mask")
    path = tmp_path / "w.html"
    write_words_page(found, [], path)
    source = path.read_text("utf-8")
    page = check_alone(source)
    assert source.count("<details") == 3
    assert page.text.count(" ".join(WORDS[:4])) == 4, "three coloured texts and the tree"
    hostile = _make(tmp_path / "store", 20)
    bad = '</p><script>alert("1")</script>'
    hostile.remove("sentences", "structure_id = 'structure-4'")
    row = {"structure_id": "structure-4", "generator_id": GENERATOR, "run_id": "toy-run"}
    texts = [("summary", f"{bad} &amp;"), ("other", "Fine.")]
    hostile.merge_rows(
        "sentences",
        [
            row | {"position": i, "tag": tag, "reference_tags": [], "sentence": sentence}
            for i, (tag, sentence) in enumerate(texts)
        ],
    )
    encode(hostile, ["full", "without:word:each"], 4)
    found = word_effects(hostile, [_train(hostile)], "toy-004", ["word"], "deletion")
    write_words_page(found, [], path)
    assert bad not in path.read_text("utf-8")
    assert f"{bad} &amp;" in check_alone(path.read_text("utf-8")).text


@pytest.mark.slow
def test_the_report_shows_measured_words(store: FeatureStore, tmp_path: Path) -> None:
    model = _train(store)
    word_effects(store, [model], MATERIAL, ["word"], "deletion")
    path = tmp_path / "r.html"
    with store.session() as session:
        write_report(session, model.model_id, path)
    page = check_alone(path.read_text("utf-8"))
    assert "One whose words have been measured" in page.text or MATERIAL in page.text
    assert "Each word deleted" in page.text
    assert page.text.count("To colour its text") == 2


def _run(store: FeatureStore, *arguments: str) -> Result:
    command = ["words", *arguments, "--store", store.uri]
    return CliRunner().invoke(group, command, catch_exceptions=False)


def test_the_command_prints_a_table_and_draws(store: FeatureStore, tmp_path: Path) -> None:
    model = _train(store).model_id
    path = tmp_path / "w.png"
    shown = _run(
        store, MATERIAL, "--model", model, "--unit", "sentence", "--unit", "word",
        "-o", str(path), "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row["part"] for row in rows[:4]] == ["sentence:0", "sentence:1", "sentence:2", "word:0"]
    for row in rows:
        change = float(row["prediction"]) - float(row["without"])
        assert float(row["contribution"]) == pytest.approx(change, abs=1e-9)
    assert figure_models(path) == [model]
    image = matplotlib.image.imread(path)
    assert image.shape[1] == 1200 and 150 < image.shape[0] < 600
    assert _run(store, MATERIAL, "--model", model, "-o", "w.txt").exit_code == 2
    assert _run(store, MATERIAL, "--model", model, "--unit", "tag", "--curves").exit_code == 2


def test_a_terminal_gets_colours(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        explain.cli.words, "sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    )
    command = ["words", MATERIAL, "--model", _train(store).model_id, "--store", store.uri]
    shown = CliRunner().invoke(group, command, catch_exceptions=False, color=True)
    assert "\x1b[" in shown.stdout
    assert " ".join(WORDS[:4]) in click.unstyle(shown.stdout)


@pytest.mark.slow
def test_missing_variants_name_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = _make(tmp_path / "store", 20)
    model = _train(store).model_id
    with pytest.raises(MissingDataError) as caught:
        _run(store, "toy-004", "--model", model)
    assert "10 of 10 texts of material 'toy-004' have no vector" in str(caught.value)
    command = shlex.split(str(caught.value).splitlines()[-1])
    expected = (
        f"featurestore ingest embeddings --encoder toy-text --text {GENERATOR} "
        f"--variant without:word:each --material toy-004 --store {store.uri}"
    )
    assert command == shlex.split(expected)
    assert "erasures" not in store.tables()
    encode(store, ["without:word:each"], 4)
    assert _run(store, "toy-004", "--model", model).exit_code == 0
    with pytest.raises(MissingDataError) as caught:
        _run(store, "toy-004", "--model", model, "--curves")
    command = shlex.split(str(caught.value).splitlines()[-1])
    assert command[-2:] == ["--variants-file", "variants_toy-004.txt"]
    encode(store, read_variants_file(Path(command[-1])), 4)
    shown = _run(store, "toy-004", "--model", model, "--curves", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row["words"] for row in rows[:6]] == ["1 %", "5 %", "10 %", "20 %", "50 %", "AOPC"]
    aopc = np.mean([float(row["ranked"]) for row in rows[:5]])
    assert float(rows[5]["ranked"]) == pytest.approx(aopc)
    for row in rows:
        assert float(row["random_least"]) <= float(row["random"]) <= float(row["random_most"])


@pytest.mark.slow
def test_encode_calls_the_command(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real encoder runs in the documents' test; here the arguments are looked at."""
    other = _make(tmp_path / "store", 20)
    model = _train(other).model_id
    called = []

    def main(arguments: list[str], **_: object) -> int:
        called.append(arguments)
        encode(other, ["without:word:each"], 4)
        return 0

    monkeypatch.setattr("featurestore.cli.root.main", main)
    assert _run(other, "toy-004", "--model", model, "--encode").exit_code == 0
    assert called[0][:2] == ["ingest", "embeddings"] and "without:word:each" in called[0]
    _run(other, "toy-004", "--model", model, "--encode")
    assert len(called) == 1, "nothing is missing any more"
