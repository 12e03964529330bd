"""Full-text ranking is BM25, over every text there is."""

from __future__ import annotations

import re
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.catalogue import Generator
from featurestore.errors import InvalidInputError
from featurestore.search.fusion import depth, fused
from featurestore.search.hits import Among, HoldsWords
from featurestore.search.questions import texts_of
from featurestore.search.stems import beginning, stem
from featurestore.search.words import query_words, text_lengths, word_scores
from featurestore.store import FeatureStore

GENERATOR = Generator("words_0000000001", "words", ("other",), ())
TEXTS = [
    ["Edge-sharing octahedra;", "a layered oxide."],
    ["Corner-sharing tetrahedra."],
    ["A layered, LAYERED structure of LiO₆ octahedra", "of 2 layers (2.07 Å); layer"],
    ["Ties of ZnS: 100 % ‘Å–Å’", "Zn(1) it's"],
    ["."],
]
QUERIES = (
    *("layered OCTAHEDRA, unheard", "layer", "octahedron sharing", "2", "å", "lio₆", "zns", "Ti"),
    *("zn sharing-edges", "structured structures"),
)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = FeatureStore.open(tmp_path_factory.mktemp("words") / "store", create=True)
    store.merge_rows(
        "sentences",
        [
            {
                "structure_id": f"s{number}",
                "generator_id": generator,
                "position": position,
                "tag": "other",
                "reference_tags": [],
                "sentence": sentence,
                "run_id": "toy-run",
            }
            for number, text in enumerate(TEXTS)
            for position, sentence in enumerate(text)
            for generator in (GENERATOR.generator_id, "others_0000000002")
        ],
    )
    return store


def scored(store: FeatureStore, query: str) -> tuple[Any, list[str]]:
    question = HoldsWords(query, GENERATOR)
    with store.session() as session:
        return word_scores(session, question, text_lengths(session, question))


def by_looking_at_every_word(query: str) -> list[float]:
    """BM25 by the formula, of words in all their forms."""
    words = [[stem(w) for w in re.findall(r"[^\W_]+", " ".join(t).lower())] for t in TEXTS]
    lengths = [sum(map(len, text)) for text in TEXTS]
    mean = sum(lengths) / len(lengths)
    scores = [0.0] * len(TEXTS)
    for one in dict.fromkeys(stem(word) for word in query_words(query)):
        counts = [text.count(one) for text in words]
        holding = sum(map(bool, counts))
        rarity = log(1 + (len(TEXTS) - holding + 0.5) / (holding + 0.5))
        for number, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            scores[number] += rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean))
    return scores


@pytest.mark.parametrize("query", QUERIES)
def test_scores_are_those_of_the_formula_over_every_text(texts, query):
    scores, _ = scored(texts, query)
    np.testing.assert_allclose(scores, by_looking_at_every_word(query))


def test_forms_of_a_word_and_what_no_text_holds(texts):
    scores, absent = scored(texts, "unheard layer Ti")
    assert absent == ["unheard", "ti"]  # "ties" holds no titanium
    assert np.flatnonzero(scores).tolist() == [0, 2]
    assert scored(texts, "zns")[0].argmax() == 3 and not scored(texts, "sn")[0].any()


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


def test_no_texts(texts):
    nobody = HoldsWords("word", Generator("nobody_0000000003", "nobody", (), ()))
    with texts.session() as session:
        scores, absent = word_scores(session, nobody, text_lengths(session, nobody))
    assert len(scores) == 0 and absent == ["word"]


# Porter's own examples, and words of descriptions.
STEMS = {
    **{"caresses": "caress", "ponies": "poni", "cats": "cat", "agreed": "agre", "feed": "feed"},
    **{"plastered": "plaster", "motoring": "motor", "sing": "sing", "conflated": "conflat"},
    **{"troubled": "troubl", "sized": "size", "hopping": "hop", "falling": "fall"},
    **{"hissing": "hiss", "failing": "fail", "filing": "file", "happy": "happi", "sky": "sky"},
    **{"relational": "relat", "conditional": "condit", "digitizer": "digit", "radically": "radic"},
    **{"vietnamization": "vietnam", "operator": "oper", "feudalism": "feudal"},
    **{"decisiveness": "decis", "hopefulness": "hope", "sensibility": "sensibl"},
    **{"triplicate": "triplic", "formative": "form", "electrical": "electr", "goodness": "good"},
    **{"revival": "reviv", "inference": "infer", "adjustable": "adjust", "replacement": "replac"},
    **{"adoption": "adopt", "communism": "commun", "effective": "effect", "probate": "probat"},
    **{"rate": "rate", "cease": "ceas", "controlling": "control", "roll": "roll"},
    **{"layered": "layer", "bonded": "bond", "geometries": "geometri", "geometry": "geometri"},
    **{"ties": "ties", "lies": "lies", "zns": "zns", "ions": "ion", "octahedra": "octahedra"},
    **{"lio₆": "lio₆", "2h": "2h"},
}


def test_stems_are_those_of_porter():
    assert {word: stem(word) for word in STEMS} == STEMS


@given(
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
    st.lists(
        st.sampled_from(
            [
                "s",
                "ed",
                "ing",
                "ational",
                "tional",
                "enci",
                "izer",
                "bli",
                "biliti",
                "ility",
                "ization",
                "ator",
                "iveness",
                "ness",
                "ful",
                "y",
                "ies",
                "e",
                "ll",
                "ement",
                "ion",
                "sion",
                "tion",
                "ically",
                "icate",
                "ous",
                "ate",
                "ble",
                "sses",
                "eed",
            ]
        ),
        max_size=3,
    ),
)
def test_a_word_begins_as_its_stem_does(root, endings):
    word = root + "".join(endings)
    assert word.startswith(beginning(stem(word)))


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
