"""Turns of phrase that a store's texts repeat, each to be one token.

Descriptions by rules say the same words around each number: most tokens of a text tell nothing of
the crystal, and a transformer spends its time on them. The longest stretches that recur are found
as in byte pair encoding (R. Sennrich et al., ACL 2016), of words instead of letters, across spaces
and punctuation (A. Liu et al., "SuperBPE", 2025).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from ingest.structures.elements import ELEMENTS

# With the space before it, so that pieces end to end are the text.
_PIECE = re.compile(r"\s*(?:[^\W\d_]+|\d+(?:\.\d+)?|[^\w\s]|_)")
_SYMBOL = re.compile(r"[A-Z][a-z]?")
# Of two neighbours that become one, as a share of the texts.
_OFTEN = 0.25
_MOST_TEXTS = 2000


def frequent_phrases(texts: Sequence[str], most: int) -> list[str]:
    """Up to ``most`` phrases, those first that save most tokens.

    A phrase is two words or more, holds no number, no formula, no single letter and no
    mask, and occurs once in four texts on average, of the first two thousand. Of phrases within
    others those are left out that do not stand alone so often.
    """
    if most == 0:
        return []
    stretches = Counter(
        stretch for text in texts[:_MOST_TEXTS] for stretch in _stretches(text) if len(stretch) > 1
    )
    counted = [(list(stretch), count) for stretch, count in stretches.items()]
    fewest = max(2, round(_OFTEN * min(len(texts), _MOST_TEXTS)))
    while (pair := _most_frequent(counted, fewest)) is not None:
        for stretch, _ in counted:
            _merge(stretch, pair)
    found: Counter[str] = Counter()
    for stretch, count in counted:
        for piece in stretch:
            found[piece.strip()] += count
    saved = {
        phrase: count * (words - 1)
        for phrase, count in found.items()
        if count >= fewest and (words := len(_PIECE.findall(phrase))) > 1
    }
    return sorted(saved, key=lambda phrase: (-saved[phrase], phrase))[:most]


def _stretches(text: str) -> Iterable[tuple[str, ...]]:
    """What stands between numbers and symbols, in pieces."""
    stretch: list[str] = []
    for piece in _PIECE.findall(text):
        word = piece.strip()
        letter = len(word) == 1 and word.isalpha()
        if letter or _is_formula(word) or any(map(str.isdigit, word)) or word in "[]":
            yield tuple(stretch)
            stretch = []
        else:
            stretch.append(piece)
    yield tuple(stretch)


def _is_formula(word: str) -> bool:
    symbols = _SYMBOL.findall(word)
    return "".join(symbols) == word and ELEMENTS.issuperset(symbols)


def _most_frequent(counted: Sequence[tuple[list[str], int]], fewest: int) -> tuple[str, str] | None:
    """The pair of neighbours that occurs most often; None if none occurs ``fewest`` times."""
    pairs: Counter[tuple[str, str]] = Counter()
    for stretch, count in counted:
        for pair in pairwise(stretch):
            pairs[pair] += count
    if not pairs:
        return None
    pair, count = min(pairs.items(), key=lambda one: (-one[1], one[0]))
    return pair if count >= fewest else None


def _merge(stretch: list[str], pair: tuple[str, str]) -> None:
    place = 0
    while place < len(stretch) - 1:
        if (stretch[place], stretch[place + 1]) == pair:
            stretch[place : place + 2] = ["".join(pair)]
        place += 1
