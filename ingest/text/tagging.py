"""What a sentence of a description is about: one tag by the store's rule, or the paper's several.

Both taggers go by the fixed phrases of the generators. The overlapping rules are those with which
Li et al. (Digital Discovery 2025, 4, 376) remove sentences from Robocrystallographer texts; there
a sentence can match several rules or none. The store's tagger takes the first rule that matches,
in the order of :data:`REFERENCE_TAGS`, and ``other`` where none does, so that the tags of a text
partition its sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ingest.text.base import Sentence

#: Changes whenever a rule does; part of every generator's fingerprint.
TAGGER_VERSION = 1

OTHER = "other"

#: The tags of the reference's rules for each text source, in the store's order of precedence.
REFERENCE_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "robocrystallographer": (
            "summary",
            "site info",
            "structure coordination",
            "bond length",
            "bond angle",
        ),
        "chemnlp": ("chemical info", "structure info", "bond length"),
    }
)

#: The tags that the store's tagger gives for each text source.
STORE_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "robocrystallographer": (*REFERENCE_TAGS["robocrystallographer"], OTHER),
        "chemnlp": REFERENCE_TAGS["chemnlp"],
    }
)

_ROBOCRYSTALLOGRAPHER_RULES: dict[str, Callable[[int, str], bool]] = {
    "summary": lambda position, s: position == 0 or (position == 1 and "structure" in s),
    "site info": lambda _, s: "there are" in s and "sites" in s,
    "structure coordination": lambda _, s: "bonded" in s,
    "bond length": lambda _, s: "bond length" in s or "bond distance" in s,
    "bond angle": lambda _, s: "tilt" in s or "angle" in s,
}

_CHEMNLP_SECTIONS = {
    "chemical info": "The chemical information include:",
    "structure info": "The structure information include:",
    "bond length": "The bond distances are as follows:",
}


def reference_tags(source: str, sentences: Sequence[str]) -> list[tuple[str, ...]]:
    """Every tag whose rule a sentence meets, none to several, for each sentence of one text."""
    if source == "chemnlp":
        return _sections(sentences)
    return [
        tuple(
            tag
            for tag in REFERENCE_TAGS[source]
            if _ROBOCRYSTALLOGRAPHER_RULES[tag](position, sentence.lower())
        )
        for position, sentence in enumerate(sentences)
    ]


def store_tags(source: str, sentences: Sequence[str]) -> list[str]:
    """Exactly one tag for each sentence of one text: the first that applies, else ``other``."""
    return [tags[0] if tags else OTHER for tags in reference_tags(source, sentences)]


def tagged(source: str, sentences: Sequence[str]) -> list[Sentence]:
    """The sentences of one text with the tags of both taggers."""
    return [
        Sentence(text, tag, reference)
        for text, tag, reference in zip(
            sentences,
            store_tags(source, sentences),
            reference_tags(source, sentences),
            strict=True,
        )
    ]


def _sections(sentences: Sequence[str]) -> list[tuple[str, ...]]:
    """The section that each sentence stands in; a section's opening words start it."""
    tags: list[tuple[str, ...]] = []
    current: tuple[str, ...] = ()
    for sentence in sentences:
        for tag, opening in _CHEMNLP_SECTIONS.items():
            if sentence.startswith(opening):
                current = (tag,)
        tags.append(current)
    return tags
