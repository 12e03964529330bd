"""Short forms of many variants: expanded for ingestion, shortened for commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from featurestore.catalogue import Generator
from featurestore.texts.variants import parse_variant, subsets

_EACH_TAG = re.compile(
    r"(?P<start>(?:without|only|mask):(?:(?:random|random-words):[^:]*:)?)"
    r"(?P<reference>reference:)?each"
)
_SUBSETS = re.compile(r"(?P<rule>without|only|mask):(?P<reference>reference:)?subsets")
_EACH_UNIT = re.compile(r"(?:(?P<rule>without|only|mask):)?(?P<unit>sentence|word):each")


def expand_variants(variants: Sequence[str], generator: Generator) -> list[str]:
    """Canonical variants, with what stands for several of them written out.

    ``RULE:each`` is one variant for each tag, also ``RULE:random:SEED:each`` and
    ``RULE:random-words:SEED:each``; ``RULE:subsets`` one for each set of tags, none and all
    included. ``reference:`` before the last word takes the overlapping tags.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If a variant has another form or an unknown tag, or asks for reference tags where there are
        none.
    """
    expanded: list[str] = []
    for variant in variants:
        if match := _EACH_TAG.fullmatch(variant):
            start = match["start"] + (match["reference"] or "")
            expanded += [f"{start}{tag}" for tag in _tags(generator, match)]
        elif match := _SUBSETS.fullmatch(variant):
            for chosen in subsets(_tags(generator, match)):
                expanded.append(_of_subset(match["rule"], chosen, match, generator))
        else:
            expanded.append(variant)
    parsed = (parse_variant(text, generator.tags, generator.reference_tags) for text in expanded)
    return list(dict.fromkeys(map(str, parsed)))


def _of_subset(
    rule: str, chosen: tuple[str, ...], match: re.Match[str], generator: Generator
) -> str:
    """The variant of a rule and a set of tags, also of none."""
    reference = match["reference"] or ""
    if chosen:
        return f"{rule}:{reference}{','.join(chosen)}"
    if rule == "only":
        # Every sentence has one of the store's tags: nothing is kept.
        return f"without:{','.join(generator.tags)}"
    return "full"


def _tags(generator: Generator, match: re.Match[str]) -> tuple[str, ...]:
    return generator.tags_of(reference=bool(match["reference"]))


_SINGLE = re.compile(r"(without|mask):(word|sentence):\d+")


def shortened(variants: Iterable[str]) -> list[str]:
    """Variants with single words or sentences replaced by ``without:word:each`` and so on.

    >>> shortened(["without:word:0", "without:word:1", "without:bond length"])
    ['without:word:each', 'without:bond length']
    """
    found: list[str] = []
    for variant in variants:
        match = _SINGLE.fullmatch(variant)
        found.append(f"{match[1]}:{match[2]}:each" if match else variant)
    return list(dict.fromkeys(found))
