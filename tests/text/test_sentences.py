from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.text.sentences import split_sentences


@given(st.text(alphabet="ABab. 1Å°-/_()\n", max_size=80))
def test_sentences_join_to_the_text(text: str) -> None:
    assert " ".join(split_sentences(text)) == text


def test_a_sentence_ends_at_a_full_stop_before_a_capital() -> None:
    text = "NaCl is Halite structured. Na(1) is bonded to six Cl(1) atoms. All lengths are 2.82 Å."
    assert split_sentences(text) == [
        "NaCl is Halite structured.",
        "Na(1) is bonded to six Cl(1) atoms.",
        "All lengths are 2.82 Å.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "There are three shorter (3.41 Å) and three longer (3.48 Å) Ba(1)-Ba(1) bond lengths.",
        "LiCeO2 crystallizes in the monoclinic P2_1/c space group.",
        "SrTiO3 crystallizes in the cubic Fm̅3m space group.",
        "The angles range from 23-24° approx. 5 in 10.",
    ],
)
def test_decimals_symbols_and_abbreviations_end_no_sentence(text: str) -> None:
    assert split_sentences(text) == [text]


def test_an_empty_text_is_one_empty_sentence() -> None:
    assert split_sentences("") == [""]
