from __future__ import annotations

import pytest

from featurestore.errors import InvalidInputError, UnknownNameError
from ingest.text.registry import generator, text_part, text_sources
from ingest.text.tagging import OTHER, reference_tags, store_tags, tagged

# The sample of Li et al. (2025), cut after two bonds.
LICEO2 = [
    "The chemical information include: The chemical has an atomic formula of LiCeO2 with a "
    "prototype of ABC2;Its molecular weight is 358.11 g/mol;",
    "The atomic fractions are {'Li': 0.25, 'Ce': 0.25, 'O': 0.5}, and the atomic values X and Z "
    "are 0.98, 1.12, 3.44 and 3, 58, 8, respectively.",
    "The structure information include: The lattice parameters are 5.78, 5.86, 6.03 with angles "
    "90.0, 90.0, 103.99 degrees;",
    "The space group number is 14 with the symbol P2_1/c;",
    "The top K XRD peaks are found at 15.6, 21.5, 21.6, 24.4, 29.0 degrees;",
    "The material has a density of 6.003 g/cm³, crystallizes in a monoclinic system, and has a "
    "point group of 2/m;",
    "The Wyckoff positions are e;",
    "The number of atoms in the primitive and conventional cells are 16 and 16, respectively;",
    "The bond distances are as follows: Li-Li: 2.95, 3.22 , Ce-Li: 2.76, 2.98 .",
]


def test_chemnlp_tags_are_the_three_sections() -> None:
    expected = ["chemical info"] * 2 + ["structure info"] * 6 + ["bond length"]
    assert store_tags("chemnlp", LICEO2) == expected
    assert reference_tags("chemnlp", LICEO2) == [(tag,) for tag in expected]


@pytest.mark.parametrize(
    ("sentence", "tag"),
    [
        ("There are two inequivalent Ca sites.", "site info"),
        ("In each MoS2 sheet, there are two inequivalent S sites.", "site info"),
        ("Na(1) is bonded to six Cl(1) atoms to form NaCl6 octahedra.", "structure coordination"),
        ("All Na(1)-Cl(1) bond lengths are 2.82 Å.", "bond length"),
        ("There are a spread of Li(1)-O(1) bond distances ranging from 1.9-2.1 Å.", "bond length"),
        ("The corner-sharing octahedral tilt angles range from 23-24°.", "bond angle"),
        ("The corner-sharing octahedra are not tilted.", "bond angle"),
        ("Nothing that a rule knows.", OTHER),
    ],
)
def test_each_rule_of_robocrystallographer(sentence: str, tag: str) -> None:
    text = ["CaTiO3 crystallizes in the orthorhombic Pnma space group.", "A second one.", sentence]
    assert store_tags("robocrystallographer", text) == ["summary", OTHER, tag]
    assert reference_tags("robocrystallographer", text)[2] == (() if tag == OTHER else (tag,))


def test_the_second_sentence_is_summary_only_where_it_says_structure() -> None:
    second = "The structure is two-dimensional and consists of two MoS2 sheets."
    text = ["MoS2 is Molybdenite structured.", second, second]
    assert store_tags("robocrystallographer", text) == ["summary", "summary", OTHER]


def test_where_rules_overlap_the_store_takes_the_first() -> None:
    text = ["First.", "There are two sites bonded at an angle, with one bond length."]
    overlapping = ("site info", "structure coordination", "bond length", "bond angle")
    assert reference_tags("robocrystallographer", text)[1] == overlapping
    assert store_tags("robocrystallographer", text)[1] == "site info"


def test_tagged_sentences_carry_both_taggers() -> None:
    sentences = tagged("chemnlp", LICEO2)
    assert " ".join(sentence.text for sentence in sentences) == " ".join(LICEO2)
    assert [sentence.tag for sentence in sentences] == store_tags("chemnlp", LICEO2)


def test_every_source_lists_its_tags() -> None:
    assert {"robocrystallographer", "chemnlp"} <= set(text_sources())
    for source in ("robocrystallographer", "chemnlp"):
        part = text_part(source)
        assert part.reference_tags and set(part.reference_tags) <= set(part.tags)


def test_an_unknown_source_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'robocrystallographer'"):
        generator("robocrystalographer")


def test_chemnlp_has_no_version_with_oxidation_states() -> None:
    with pytest.raises(InvalidInputError, match="takes no settings; got 'guess_oxidation_states'"):
        generator("chemnlp", guess_oxidation_states=True)
