"""Text variants: what of a description is deleted, kept or masked, written as one short string.

A variant is ``full``, or a rule and a part of the text. The rule ``without`` deletes the part,
``only`` deletes all else, ``mask`` puts ``[MASK]`` in place of each of the part's words. The part
is one of

- ``TAG,…``: the sentences with these tags; ``reference:TAG,…`` over the overlapping tags of the
  reference implementation;
- ``sentence:N,…`` or ``word:N,…``: by their place in the full text, from 0; a word is what stands
  between blanks;
- ``random:SEED:TAG,…``: as many sentences of the text as the tags have in it, drawn at random from
  all its sentences; ``random-words:SEED:TAG,…``: as many words as the tags' sentences have, drawn
  from all its words. Both are controls for the length of what is erased. The draw depends on the
  seed, the structure and the numbers of things alone.

The texts themselves are rendered in SQL (``featurestore/sql/texts.sql``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from featurestore.errors import InvalidInputError, UnknownNameError

#: What a masked word becomes in the text, whatever an encoder's own mask token is.
MASK = "[MASK]"

RULES = ("without", "only", "mask")
#: Parts that are numbered within one text.
UNITS = ("sentence", "word")
#: Parts that are drawn at random.
CONTROLS = ("random", "random-words")

_FORM = re.compile(r"(?P<rule>without|only|mask):(?P<part>.+)", re.DOTALL)
_UNIT = re.compile(r"(?P<unit>sentence|word):(?P<numbers>.*)", re.DOTALL)
_CONTROL = re.compile(r"(?P<unit>random|random-words):(?P<seed>[^:]*):(?P<tags>.+)", re.DOTALL)
_REFERENCE = "reference:"
# DuckDB counts in 64 bits.
_MOST_DIGITS = 18


@dataclass(frozen=True)
class Variant:
    """A parsed variant; ``str(variant)`` is its canonical form, tags and numbers in order.

    Parameters
    ----------
    rule : {"full", "without", "only", "mask"}
        What happens to the part.
    tags : tuple of str
        Whose sentences the part is, or for a control has as many as.
    reference : bool
        Whether the tags are the overlapping ones of the reference implementation.
    unit : {"", "sentence", "word", "random", "random-words"}
        What the part consists of; empty for the sentences of the tags.
    numbers : tuple of int
        Of the sentences or words, from 0.
    seed : int or None
        Of a control.
    """

    rule: str
    tags: tuple[str, ...] = ()
    reference: bool = False
    unit: str = ""
    numbers: tuple[int, ...] = ()
    seed: int | None = None

    def __str__(self) -> str:
        if self.rule == "full":
            return "full"
        if self.unit in UNITS:
            return f"{self.rule}:{self.unit}:{','.join(map(str, self.numbers))}"
        control = f"{self.unit}:{self.seed}:" if self.unit else ""
        tags = f"{_REFERENCE if self.reference else ''}{','.join(self.tags)}"
        return f"{self.rule}:{control}{tags}"


FULL = Variant("full")


def parse_variant(text: str, tags: Sequence[str], reference_tags: Sequence[str]) -> Variant:
    """Parse a variant over the tags of a text source.

    Raises
    ------
    InvalidInputError
        If the text has another form.
    UnknownNameError
        If it names a tag that the text source does not have.
    """
    if text == "full":
        return FULL
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidInputError(
            f"unknown variant {text!r}; use 'full', 'without:TAG', 'only:TAG' or 'mask:TAG' "
            "(several tags separated by commas, 'reference:' before them for the overlapping tags; "
            "in place of TAG also sentence:N, word:N, random:SEED:TAG or random-words:SEED:TAG)"
        )
    rule, part = match["rule"], match["part"]
    if unit := _UNIT.fullmatch(part):
        numbers = tuple(
            sorted({_number(text, unit["unit"], number) for number in unit["numbers"].split(",")})
        )
        return Variant(rule, unit=unit["unit"], numbers=numbers)
    control = _CONTROL.fullmatch(part)
    named = control["tags"] if control else part
    reference = named.startswith(_REFERENCE)
    known = reference_tags if reference else tags
    chosen = tuple(sorted({tag.strip() for tag in named.removeprefix(_REFERENCE).split(",")}))
    for tag in chosen:
        if tag not in known:
            raise UnknownNameError("tag", tag, known)
    if control is None:
        return Variant(rule, chosen, reference)
    seed = _number(text, "seed", control["seed"])
    return Variant(rule, chosen, reference, control["unit"], seed=seed)


def subsets(tags: Sequence[str]) -> list[tuple[str, ...]]:
    """All subsets of tags, the empty one first, then by size; tags sorted within each."""
    ordered = sorted(tags)
    return [chosen for size in range(len(ordered) + 1) for chosen in combinations(ordered, size)]


def without(tags: Sequence[str], reference: bool = False) -> Variant:
    """The variant without these tags; the full text for none."""
    return Variant("without", tuple(sorted(tags)), reference) if tags else FULL


def words_of(text: str) -> list[str]:
    """The words that ``word:N`` numbers from 0: what stands between blanks."""
    return [word for word in text.split(" ") if word]


def _number(variant: str, what: str, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidInputError(
            f"variant {variant!r}: {text!r} is no {what} number; whole numbers from 0 are, several "
            "separated by commas where they are sentences or words"
        )
    return int(text)
