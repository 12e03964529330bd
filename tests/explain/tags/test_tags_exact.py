"""Every measure of a tag against its closed form for a linear model over counts of words.

The targets lie far above all predictions, so that an error is target minus prediction: erasing
words of weight w makes it larger by w, Shapley values are the weights of the tags' words, and
nothing interacts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import combinations

import bag_of_words as bag
import numpy as np
import pytest
import synthetic_store as toy
from tiers import few

from explain.erasing.effects_table import StoredEffects
from explain.tags.analysis import TagAnalysis, tag_effects
from featurestore.store import FeatureStore
from ingest.stages.selection import Selection

N = 40
SEEDS = (0, 1)
TEST = [index for index in range(N) if toy.fold(index) == "test"]
TAGS = toy.TAGS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    with pytest.MonkeyPatch.context() as patch:
        bag.register(patch, tmp_path_factory.mktemp("site"))
        targets = 1000 + np.random.default_rng(5).normal(size=N)
        store = toy.make_store(tmp_path_factory.mktemp("s") / "store", N, targets=targets)
        bag.embed(store, ["full"])
        for seed in SEEDS:
            bag.trained(store, seed)
        fold = Selection((toy.PROPERTY,), toy.SPLIT, "test")
        for rule in ("without", "mask"):
            controls = [
                f"{rule}:{unit}:{seed}:each"
                for unit in ("random", "random-words")
                for seed in (0, 1)
            ]
            bag.embed(store, [f"{rule}:subsets", *controls], fold)
        yield store


def models(store: FeatureStore) -> list:
    return [bag.trained(store, seed) for seed in SEEDS]


@pytest.fixture(scope="module", params=["deletion", "mask"])
def result(store: FeatureStore, request: pytest.FixtureRequest) -> StoredEffects:
    analysis = TagAnalysis(erasure=request.param, control_seeds=(0, 1), sets=True)
    (found,) = tag_effects(store, models(store), analysis)
    return found


def weight(text: str, seed: int) -> float:
    """What the words of a text add to the prediction, the constant aside."""
    vector = bag.counts(text)
    vector[-1] = 0
    return float(vector @ bag.FixedLinear(seed).weights[toy.STRUCTURE_WIDTH :])


def mean(of: object, indices: list[int] = TEST) -> float:
    """Mean over materials and seeds of a function of both."""
    return float(np.mean([[of(index, seed) for index in indices] for seed in SEEDS]))


def of_tags(index: int, tags: tuple[str, ...]) -> str:
    return " ".join(s for tag, s in toy.sentences(index, bag.SOURCE) if tag in tags)


def drawn(seed: int, index: int, n: int, k: int) -> set[int]:
    """The control's draw, written a second time."""
    order = sorted(
        range(n),
        key=lambda i: hashlib.sha256(f"{seed} structure-{index} {i}".encode()).hexdigest(),
    )
    return set(order[:k])


def sentence_control(index: int, tag: str, seed: int, draw: int) -> float:
    every = [s for _, s in toy.sentences(index, bag.SOURCE)]
    k = sum(t == tag for t, _ in toy.sentences(index, bag.SOURCE))
    return sum(weight(every[i], seed) for i in drawn(draw, index, len(every), k))


def word_control(index: int, tag: str, seed: int, draw: int) -> float:
    words = of_tags(index, TAGS).split()
    k = len(of_tags(index, (tag,)).split())
    return sum(weight(words[i], seed) for i in drawn(draw, index, len(words), k))


@pytest.mark.parametrize("tag", few(TAGS))
def test_every_measure_has_its_closed_form(result: StoredEffects, tag: str) -> None:
    def own(index: int, seed: int) -> float:
        return weight(of_tags(index, (tag,)), seed)

    def rest(index: int, seed: int) -> float:
        return weight(of_tags(index, tuple(t for t in TAGS if t != tag)), seed)

    def control(index: int, seed: int) -> float:
        return np.mean([sentence_control(index, tag, seed, draw) for draw in (0, 1)])

    def words(index: int, seed: int) -> float:
        return np.mean([word_control(index, tag, seed, draw) for draw in (0, 1)])

    expected = {
        "comprehensiveness": mean(own),
        "prediction_change": -mean(own),
        "sufficiency": mean(rest),
        "shapley": mean(own),
        "shapley_prediction": mean(own),
        "control": mean(control),
        "over_control": mean(own) - mean(control),
        "control_words": mean(words),
        "over_control_words": mean(own) - mean(words),
    }
    for measure, value in expected.items():
        found = result.find(measure, tag)
        assert found is not None and found.n == len(TEST)
        assert found.value == pytest.approx(value, abs=1e-4), measure
        assert found.low <= found.value <= found.high
    with_tag = [i for i in TEST if tag in dict(toy.sentences(i, bag.SOURCE))]
    assert result.find("n_with_tag", tag).n == len(with_tag)


def test_nothing_interacts_in_a_linear_model(result: StoredEffects) -> None:
    for pair in combinations(TAGS, 2):
        for measure in ("interaction", "interaction_prediction"):
            assert result.find(measure, " × ".join(pair)).value == pytest.approx(0, abs=1e-4)


def test_the_seeds_of_the_models_make_the_deviation(result: StoredEffects) -> None:
    values = [
        np.mean([weight(of_tags(index, ("summary",)), seed) for index in TEST]) for seed in SEEDS
    ]
    found = result.find("comprehensiveness", "summary")
    assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-4)


def test_holm_multiplies_the_smallest_p_by_the_number_of_tags(result: StoredEffects) -> None:
    rows = [result.find("comprehensiveness", tag) for tag in TAGS]
    smallest = min(rows, key=lambda row: row.p)
    assert smallest.p_holm == pytest.approx(min(1, 3 * smallest.p))
    assert all(row.p <= row.p_holm for row in rows)


def test_untruncated_texts_are_a_subset_of_their_own(result: StoredEffects) -> None:
    kept = [i for i in TEST if len(of_tags(i, TAGS).split()) <= bag.LONGEST]
    assert 0 < len(kept) < len(TEST)
    assert result.find("truncated").value == pytest.approx(1 - len(kept) / len(TEST))
    found = result.find("comprehensiveness", "summary", "not truncated")
    expected = mean(lambda index, seed: weight(of_tags(index, ("summary",)), seed), kept)
    assert found.n == len(kept)
    with_tag = [i for i in kept if "bond length" in dict(toy.sentences(i, bag.SOURCE))]
    assert result.find("n_with_tag", "bond length", "not truncated").n == len(with_tag)
    assert found.value == pytest.approx(expected, abs=1e-4)


def test_groups_are_means_over_their_materials(store: FeatureStore) -> None:
    by = "material_id < 'toy-020'"
    analysis = TagAnalysis(by=by, at_least=1)
    (found,) = tag_effects(store, models(store), analysis)
    for name, indices in (
        ("true", [i for i in TEST if i < 20]),
        ("false", [i for i in TEST if i >= 20]),
    ):
        row = found.find("comprehensiveness", "summary", f"{by} = {name}")
        expected = mean(lambda index, seed: weight(of_tags(index, ("summary",)), seed), indices)
        assert (row.n, row.value) == (len(indices), pytest.approx(expected, abs=1e-4))
    (found,) = tag_effects(store, models(store), TagAnalysis(by="element", at_least=1))
    assert found.subsets[-2:] == ("element = Cl", "element = Na")


def test_signed_changes_are_stored_for_every_material(
    store: FeatureStore, result: StoredEffects
) -> None:
    variant = {"deletion": "without:summary", "mask": "mask:summary"}[result.method]
    rows = store.sql(
        "SELECT material_id, erased_prediction - prediction AS change FROM erasures "
        "WHERE model_id = ? AND method = ? AND variant = ? ORDER BY material_id",
        [result.models[0].model_id, result.method, variant],
    )
    expected = [-weight(of_tags(index, ("summary",)), SEEDS[0]) for index in TEST]
    np.testing.assert_allclose(rows["change"].to_numpy(), expected, atol=1e-4)


@pytest.mark.slow
def test_a_retrained_model_is_tested_without_the_tag(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import explain.tags.retrain

    bag.embed(store, ["without:each"])
    monkeypatch.setattr(explain.tags.retrain, "_recipe", lambda model: bag.FixedLinear())
    (found,) = tag_effects(store, models(store), TagAnalysis(retrain=True))
    # The weights are the same whatever it is trained on: both ways of erasing agree.
    for tag in TAGS:
        expected = found.find("comprehensiveness", tag).value
        assert found.find("retrained", tag).value == pytest.approx(expected, abs=1e-6)
    kept = store.sql("SELECT DISTINCT variant FROM models ORDER BY variant")["variant"].to_pylist()
    assert kept == ["full", *sorted(f"without:{tag}" for tag in TAGS)]


def test_texts_that_a_variant_leaves_unchanged_are_not_encoded_again(store: FeatureStore) -> None:
    everything = Selection((toy.PROPERTY,), toy.SPLIT, "test")
    encoder, outcome = bag.embed(store, ["without:subsets"], everything)
    assert encoder.encoded == []
    asked = 2 ** len(TAGS) * len(TEST)
    distinct = {
        of_tags(index, chosen)
        for index in TEST
        for size in range(len(TAGS) + 1)
        for chosen in combinations(TAGS, size)
    }
    assert outcome.present == len(distinct) < asked
    assert outcome.notes == [f"{asked} texts asked for, {len(distinct)} of them distinct"]
