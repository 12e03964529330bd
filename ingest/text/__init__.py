"""Generators that describe structures in words, and the taggers of their sentences."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from featurestore.errors import UnknownNameError
from ingest.text.base import TextGenerator
from ingest.text.chemnlp import ChemNLP
from ingest.text.robocrystallographer import Robocrystallographer
from ingest.text.tagging import REFERENCE_TAGS, STORE_TAGS

TEXT_SOURCES: tuple[str, ...] = ("robocrystallographer", "chemnlp")

#: For each text source the tags of the store's tagger and those of the reference's rules.
TAGS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {source: (STORE_TAGS[source], REFERENCE_TAGS[source]) for source in TEXT_SOURCES}
)


def generator(source: str, *, guess_oxidation_states: bool = False) -> TextGenerator:
    """The generator of a text source; cheap, as it loads nothing before its first use.

    Parameters
    ----------
    source : str
        One of :data:`TEXT_SOURCES`.
    guess_oxidation_states : bool
        A second version of the Robocrystallographer text, with oxidation states that pymatgen
        guesses. ChemNLP knows none.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    """
    if source == "robocrystallographer":
        return Robocrystallographer(guess_oxidation_states)
    if source == "chemnlp" and not guess_oxidation_states:
        return ChemNLP()
    if source == "chemnlp":
        raise UnknownNameError("text source with oxidation states", source, TEXT_SOURCES[:1])
    raise UnknownNameError("text source", source, TEXT_SOURCES)
