"""What a text generator is: a crystal in, tagged sentences out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError, InvalidInputError
from featurestore.identity import canonical_json, versioned_id
from featurestore.plugins import Part
from featurestore.texts.variants import parse_variant

#: Words that stand for several tags in a variant.
_SHORTHANDS = ("each", "subsets")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a description; joining the sentences with one space gives the text back.

    ``tag`` is the one tag of the store's tagger; ``reference_tags`` are those that the overlapping
    keyword rules of Li et al. (2025) give, none to several.
    """

    text: str
    tag: str
    reference_tags: tuple[str, ...]


@dataclass(frozen=True)
class GeneratorSpec:
    """The identity of a text generator.

    ``fingerprint`` holds everything that can change a character or a tag: library versions,
    settings, tagger version. JSON values only.

    Raises
    ------
    InvalidInputError
        If the fingerprint is not JSON.
    """

    source: str
    fingerprint: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        try:
            canonical_json(dict(self.fingerprint))
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"the fingerprint of the text source {self.source!r} is not JSON: {error}"
            ) from error

    @property
    def generator_id(self) -> str:
        """The source's name and ten digits of the fingerprint."""
        return versioned_id(self.source, dict(self.fingerprint))


class TextGenerator(Protocol):
    """Describes crystals in words.

    A generator is made once in each worker process; ``warm_up`` loads what it needs there, so that
    constructing one is cheap where only its ``spec`` is asked for.
    """

    spec: GeneratorSpec

    def warm_up(self) -> None:
        """Load libraries and data that ``describe`` needs."""
        ...

    def describe(self, crystal: Crystal) -> list[Sentence]:
        """The sentences of the description, in order; raises on a structure it cannot describe."""
        ...


@dataclass(frozen=True, kw_only=True)
class TextPart(Part):
    """What a package declares about a text generator, under ``featurestore.texts``.

    Parameters
    ----------
    tags : tuple of str
        What a sentence can be about: each has exactly one of these. Erasures go by them.
    reference_tags : tuple of str
        The tags of a second tagger, whose rules may overlap; a sentence has none to several.

    Raises
    ------
    InvalidInputError
        If there is no tag, or one that cannot be named in a variant.
    """

    tags: tuple[str, ...]
    reference_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tags:
            raise InvalidInputError(f"the text source {self.name!r} declares no tags")
        for tags, prefix in ((self.tags, ""), (self.reference_tags, "reference:")):
            for tag in tags:
                if tags.count(tag) > 1 or not _can_be_named(tag, tags, prefix):
                    raise InvalidInputError(
                        f"the text source {self.name!r} cannot have the tag {tag!r}: a tag is "
                        "named once, in plain words without commas and colons, and is none of "
                        f"{', '.join(_SHORTHANDS)}"
                    )

    def identity(self) -> dict[str, Any]:
        """As that of every part, with the tags."""
        tags = {"tags": list(self.tags), "reference_tags": list(self.reference_tags)}
        return super().identity() | tags

    def generator(self, settings: Mapping[str, Any]) -> TextGenerator:
        """The generator with these settings, others at their defaults.

        Raises
        ------
        UnknownNameError, InvalidInputError, MissingPackageError
            As for `Part.build`; and if it writes texts of another source.
        """
        made: TextGenerator = self.build(settings)
        if made.spec.source != self.name:
            raise InvalidInputError(
                f"the generator of the text source {self.name!r} calls its texts "
                f"{made.spec.source!r}; the two names must be the same"
            )
        return made

    def check_tags(self, sentences: Sequence[Sentence]) -> None:
        """Raise if a sentence has a tag that is not declared: no erasure would ever meet it.

        Raises
        ------
        InvalidInputError
            Naming the source, the tag and the sentence.
        """
        for sentence in sentences:
            unknown = {sentence.tag} - set(self.tags) or (
                set(sentence.reference_tags) - set(self.reference_tags)
            )
            if unknown:
                raise InvalidInputError(
                    f"the text source {self.name!r} gives a sentence the tag "
                    f"{min(unknown)!r}, which it does not declare: {sentence.text!r}"
                )


def _can_be_named(tag: str, tags: Sequence[str], prefix: str) -> bool:
    if tag in _SHORTHANDS or ":" in tag:
        return False
    try:
        variant = parse_variant(f"without:{prefix}{tag}", *((), tags) if prefix else (tags, ()))
    except FeatureStoreError:
        return False
    return variant.tags == (tag,)
