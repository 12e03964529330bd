"""Names from users: properties in TOML files, text variants, and suggestions for the unknown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.registry import load_registry
from featurestore.texts.variants import Variant, parse_variant, subsets, without

TAGS = ("summary", "bond length", "bond angle")
REFERENCE = ("site info", "bond length")


def test_built_in_properties_have_units_and_ranges():
    registry = load_registry()
    for name, unit in {
        "formation_energy_peratom": "eV/atom",
        "ehull": "eV/atom",
        "mbj_bandgap": "eV",
        "slme": "%",
        "spillage": "1",
        "Tc_supercon": "K",
        "magmom_oszicar": "mu_B",
        "magmom_outcar": "mu_B",
    }.items():
        assert registry[name].unit == unit
        assert registry[name].plausible[0] < registry[name].plausible[1]


def test_a_file_adds_and_overrides(tmp_path):
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('[my_gap]\nunit = "eV"\nrange = [0, 20]\n[slme]\nunit = "1"\nrange = [0, 1]\n')
    second.write_text('[my_gap]\nunit = "meV"\nrange = [0.0, 2e4]\n')
    registry = load_registry(first, second)
    assert (registry["my_gap"].unit, registry["my_gap"].plausible) == ("meV", (0.0, 20000.0))
    assert registry["slme"].unit == "1"
    assert "mbj_bandgap" in registry and "nothing" not in registry
    assert "my_gap" not in load_registry()


@pytest.mark.parametrize(
    "text",
    [
        "[a]\nrange = [0, 1]",
        '[a]\nunit = "eV"',
        '[a]\nunit = "eV"\nrange = [0]',
        '[a]\nunit = "eV"\nrange = [1, 0]',
        '[a]\nunit = "eV"\nrange = [0, nan]',
        '[a]\nunit = "eV"\nrange = ["low", "high"]',
        "[a]\nunit = 3\nrange = [0, 1]",
        "a = 3",
        'a = "text"',
    ],
)
def test_an_entry_that_lacks_something_is_named(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(InvalidInputError, match=r"mine\.toml: \[a\] needs unit"):
        load_registry(tmp_path / "mine.toml")


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "broken.toml").write_text("[a\nunit")
    (tmp_path / "latin.toml").write_bytes(b'[a]\nunit = "\xe5"')
    for name in ("broken.toml", "latin.toml", "missing.toml"):
        with pytest.raises(InvalidInputError, match=name):
            load_registry(tmp_path / name)


def test_an_unknown_property_suggests_and_says_how_to_add_it():
    with pytest.raises(UnknownNameError, match=r"did you mean 'mbj_bandgap'.*--property-registry"):
        load_registry()["MBJ-BandGap"]


def test_suggestions():
    assert "did you mean 'ChemNLP'?" in str(UnknownNameError("source", "chemnpl", ["ChemNLP", "x"]))
    assert str(UnknownNameError("source", "qqq", ["b", "a"])).endswith("known: a, b")
    assert str(UnknownNameError("source", "q", [])).endswith("there is none yet")
    many = str(UnknownNameError("source", "qqq", [f"name{i:02}" for i in range(25)]))
    assert many.endswith("name09 and 15 more")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("full", "full"),
        ("without:summary", "without:summary"),
        ("without:summary,bond angle", "without:bond angle,summary"),
        ("only: summary , bond angle,summary", "only:bond angle,summary"),
        ("without:reference:site info", "without:reference:site info"),
        ("only:reference:bond length,site info", "only:reference:bond length,site info"),
        ("mask:summary,bond angle", "mask:bond angle,summary"),
        ("mask:sentence:3", "mask:sentence:3"),
        ("without:word:17, 5,05,1", "without:word:1,5,17"),
        ("only:word:0", "only:word:0"),
        ("without:random:07:summary", "without:random:7:summary"),
        ("mask:random-words:1:reference:site info", "mask:random-words:1:reference:site info"),
    ],
)
def test_variants_have_one_canonical_form(text, canonical):
    variant = parse_variant(text, TAGS, REFERENCE)
    assert str(variant) == canonical
    assert parse_variant(canonical, TAGS, REFERENCE) == variant


@pytest.mark.parametrize(
    "text", ["", "Full", "without", "without:", "with:summary", "full:summary"]
)
def test_other_forms_are_refused(text):
    with pytest.raises(InvalidInputError, match="unknown variant"):
        parse_variant(text, TAGS, REFERENCE)


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("without:word:", "'' is no word number"),
        ("without:word:1,,2", "'' is no word number"),
        ("mask:sentence:-1", "'-1' is no sentence number"),
        ("without:word:1.5", "'1.5' is no word number"),
        ("without:word:²", "is no word number"),
        ("without:word:" + "9" * 30, "is no word number"),
        ("without:random:x:summary", "'x' is no seed number"),
        ("mask:random-words::summary", "'' is no seed number"),
    ],
)
def test_numbers_that_are_none_are_named(text, culprit):
    with pytest.raises(InvalidInputError, match=re.escape(culprit)):
        parse_variant(text, TAGS, REFERENCE)


def test_subsets_start_with_none_and_end_with_all():
    assert subsets(("b", "a")) == [(), ("a",), ("b",), ("a", "b")]
    assert str(without(())) == "full" and str(without(("b", "a"), True)) == "without:reference:a,b"


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("without:random:0:bond lengths", "'bond length'"),
        ("without:random:0", "unknown tag 'random:0'"),
        ("without:bond lengths", "'bond length'"),
        ("only:summary,", "summary"),
        ("without:site info", "known: bond angle, bond length, summary"),
        ("without:reference:summary", "known: bond length, site info"),
        ("only:reference:reference:site info", "'site info'"),
    ],
)
def test_unknown_tags_suggest(text, suggestion):
    with pytest.raises(UnknownNameError, match=suggestion):
        parse_variant(text, TAGS, REFERENCE)


@settings(max_examples=100)
@given(st.sampled_from(["without", "only"]), st.sets(st.sampled_from(TAGS), min_size=1))
def test_parsing_what_is_printed(rule, tags):
    variant = Variant(rule, tuple(sorted(tags)))
    assert parse_variant(str(variant), TAGS, REFERENCE) == variant


@settings(max_examples=200)
@given(st.text(max_size=20))
def test_any_other_text_is_refused_in_words(text):
    try:
        assert parse_variant(text, TAGS, REFERENCE) == Variant("full")
    except (InvalidInputError, UnknownNameError) as error:
        assert "unknown" in str(error)
