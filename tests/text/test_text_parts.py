"""What a text part declares: tags that erasures can name, and a generator of its own name."""

from __future__ import annotations

from typing import Any

import pytest

from featurestore.catalogue import Generator
from featurestore.errors import InvalidInputError
from featurestore.texts.shorthands import expand_variants
from ingest.text.base import GeneratorSpec, Sentence, TextPart
from ingest.text.registry import generator, text_part


def part(**fields: Any) -> TextPart:
    given = {"name": "words", "summary": "Words.", "make": lambda r: r, "tags": ("a",)} | fields
    return TextPart(**given)


@pytest.mark.parametrize(
    "fields",
    [
        {"tags": ("bond, length",)},
        {"tags": ("reference:a",)},
        {"tags": ("random:1:a",)},
        {"tags": ("each",)},
        {"tags": (" a",)},
        {"tags": ("",)},
        {"tags": ("a", "a")},
        {"reference_tags": ("subsets",)},
    ],
)
def test_a_tag_that_no_variant_can_name_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="'words' cannot have the tag"):
        part(**fields)


def test_a_source_has_tags() -> None:
    with pytest.raises(InvalidInputError, match="declares no tags"):
        part(tags=())


def test_tags_are_part_of_the_fingerprint() -> None:
    one, other = (part(tags=tags).build().fingerprint for tags in (("a",), ("a", "b")))
    assert one["tags"] == ["a"] and one != other


def test_tags_that_are_not_declared_are_named() -> None:
    declared = part(tags=("a", "b"), reference_tags=("c",))
    declared.check_tags([Sentence("x", "b", ("c",)), Sentence("y", "a", ())])
    for wrong in (Sentence("This.", "d", ()), Sentence("This.", "a", ("c", "d"))):
        with pytest.raises(InvalidInputError, match=r"'words' gives .* tag 'd', .*'This\.'"):
            declared.check_tags([wrong])


def test_a_generator_of_another_name_is_refused() -> None:
    class Other:
        spec = GeneratorSpec("verses", {})

    with pytest.raises(InvalidInputError, match="calls its texts 'verses'"):
        part(make=lambda request: Other()).generator({})


def test_a_fingerprint_that_is_not_json_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="fingerprint of the text source 'words'"):
        GeneratorSpec("words", {"tags": {"a"}})


def test_what_ships_keeps_its_identity() -> None:
    """Stores hold sentences under these fingerprints, from before there were settings."""
    assert "oxidation_states" in generator("robocrystallographer").spec.fingerprint
    for source in ("robocrystallographer", "chemnlp"):
        assert "settings" not in generator(source).spec.fingerprint
        assert text_part(source).versions()


def test_reference_tags_where_there_are_none() -> None:
    bare = Generator("words_0123456789", "words", ("a", "b"), ())
    assert expand_variants(["without:each"], bare) == ["without:a", "without:b"]
    for variant in ("without:reference:each", "only:reference:subsets"):
        with pytest.raises(InvalidInputError, match="words_0123456789 have no reference tags"):
            expand_variants([variant], bare)
