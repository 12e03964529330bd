"""What a word has in common with its other forms: "layer", "layers" and "layered" are one.

The stemmer is Snowball's of M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980)
130. Words with other characters than a to z stay as they are, and so does one whose stem would have
fewer than three letters: those are symbols of elements, and "ties" holds no titanium.
"""

from __future__ import annotations

import re
from functools import lru_cache

import snowballstemmer

_FEWEST_LETTERS = 3
_PLAIN = re.compile(r"[a-z]{4,}")


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The stem of a word in lower case; for ``len(stem) >= 3`` all but its last letter begin it."""
    if not _PLAIN.fullmatch(word):
        return word
    # One for each call: it holds the word that it is at, and servers search in several threads.
    found = str(snowballstemmer.stemmer("porter").stemWord(word))
    return found if len(found) >= _FEWEST_LETTERS else word


def beginning(stem: str) -> str:
    """What every word of a stem begins with."""
    return stem[:-1] if len(stem) >= _FEWEST_LETTERS and stem.isascii() and stem.isalpha() else stem
