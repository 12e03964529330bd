"""Full-text ranking is BM25, over every text there is."""

from __future__ import annotations

from math import log

import numpy as np
import pyarrow as pa
import pytest

from featurestore.errors import InvalidInputError
from featurestore.search.fusion import depth, fused
from featurestore.search.hits import Among, HoldsWords
from featurestore.search.questions import texts_of
from featurestore.search.words import WordIndex, query_words

TEXTS = [
    "Edge-sharing octahedra; a layered oxide.",
    "Corner-sharing tetrahedra.",
    "A layered, layered structure of LiO₆ octahedra",
    "",
]


def test_scores_are_those_of_the_formula():
    scores, absent = WordIndex(pa.array(TEXTS)).scores("layered OCTAHEDRA, unheard")
    assert absent == ["unheard"]
    lengths, mean = [6, 3, 7, 0], 4.0

    def term(count, length):
        rarity = log(1 + (4 - 2 + 0.5) / (2 + 0.5))
        return rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean))

    expected = [
        2 * term(1, lengths[0]),
        0,
        term(2, lengths[2]) + term(1, lengths[2]),
        0,
    ]
    np.testing.assert_allclose(scores, expected)


def test_words_are_parted_by_signs_and_cases_do_not_matter():
    assert query_words("Edge-sharing  edge (LiO₆) 2.01 Å") == [
        "edge",
        "sharing",
        "lio₆",
        "2",
        "01",
        "å",
    ]
    with pytest.raises(InvalidInputError, match="no word"):
        query_words(" -- ;'")


def test_no_texts():
    scores, absent = WordIndex(pa.array([], pa.string())).scores("word")
    assert len(scores) == 0 and absent == ["word"]


def test_words_in_a_store(store):
    with store.session() as session:
        generator, variant = texts_of(session, None, "full")
        question = HoldsWords("bonds 42 nowhere", generator, variant)
        hits = store.search.find(session, [question], Among(3), explain=True)
        cubic = Among(50, "crystal_system = 'cubic'")
        filtered = store.search.find(session, [question], cubic)
        nothing = store.search.find(session, [HoldsWords("nowhere", generator)], Among(3))
    assert hits.table["material_id"].to_pylist()[0] == "toy-042"
    assert hits.table["sentences"].to_pylist()[0][0].endswith("material 42.")
    assert hits.notes == ("no text of robocrystallographer holds 'nowhere'",)
    # Every other material has bonds, every third is cubic.
    assert sorted(filtered.table["material_id"].to_pylist()) == [
        f"toy-{i:03}" for i in range(0, 60, 6)
    ]
    assert nothing.table.num_rows == 0 and len(nothing.notes) == 2


def test_reciprocal_rank_fusion():
    assert fused([["a", "b"], ["b", "c"]]) == [
        ("b", 1 / 62 + 1 / 61),
        ("a", 1 / 61),
        ("c", 1 / 62),
    ]
    assert depth(3) == 200 and depth(50) == 500
