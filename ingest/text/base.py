"""What a text generator is: a crystal in, tagged sentences out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from featurestore.crystal import Crystal
from featurestore.identity import versioned_id


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
    """

    source: str
    fingerprint: Mapping[str, Any] = field(repr=False)

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
