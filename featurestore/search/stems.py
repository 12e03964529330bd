"""What a word has in common with its other forms: "layer", "layers" and "layered" are one.

M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980) 130, with his own later changes
(bli → ble, logi → log). Words with other characters than a to z stay as they are, and so does one
whose stem would have fewer than three letters: those are symbols of elements, and "ties" holds no
titanium.
"""

from __future__ import annotations

import re
from functools import lru_cache

_FEWEST_LETTERS = 3
_PLAIN = re.compile(r"[a-z]{4,}")
_SECOND = {
    **{"ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize"},
    **{"bli": "ble", "alli": "al", "entli": "ent", "eli": "e", "ousli": "ous", "logi": "log"},
    **{"ization": "ize", "ation": "ate", "ator": "ate", "alism": "al", "iveness": "ive"},
    **{"fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble"},
}
_THIRD = {
    **{"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": ""},
    "ness": "",
}
_FOURTH = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"),
    *("sion", "tion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The stem of a word in lower case; for ``len(stem) >= 3`` all but its last letter begin it."""
    if not _PLAIN.fullmatch(word):
        return word
    found = _without_e(_derived(_past(_plural(word))))
    return found if len(found) >= _FEWEST_LETTERS else word


def beginning(stem: str) -> str:
    """What every word of a stem begins with."""
    return stem[:-1] if len(stem) >= _FEWEST_LETTERS and stem.isascii() and stem.isalpha() else stem


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        rest = word.removesuffix(ending)
        if rest != word and _has_vowel(rest):
            return _mended(rest)
    return word


def _mended(rest: str) -> str:
    """A word that has lost its ed or ing."""
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if _is_doubled(rest) and rest[-1] not in "lsz":
        return rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _is_short(rest) else rest


def _derived(word: str) -> str:
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    for endings in (_SECOND, _THIRD):
        ending = _longest(word, endings)
        if ending and _measure(word.removesuffix(ending)) > 0:
            word = word.removesuffix(ending) + endings[ending]
    ending = _longest(word, _FOURTH)
    # Of sion and tion the s and t stay.
    lost = ending[-3:] if ending in ("sion", "tion") else ending
    return word.removesuffix(lost) if lost and _measure(word.removesuffix(lost)) > 1 else word


def _without_e(word: str) -> str:
    if word.endswith("e"):
        rest = word[:-1]
        if _measure(rest) > 1 or (_measure(rest) == 1 and not _is_short(rest)):
            word = rest
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _longest(word: str, endings: dict[str, str] | tuple[str, ...]) -> str:
    return max((ending for ending in endings if word.endswith(ending)), key=len, default="")


def _kinds(word: str) -> str:
    """The word as vowels and consonants: "toy" is "cvc"; y after a consonant is a vowel."""
    kinds = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and kinds.endswith("c"))
        kinds += "v" if vowel else "c"
    return kinds


def _measure(word: str) -> int:
    """How often vowels are followed by consonants."""
    return len(re.findall("v+c", _kinds(word)))


def _has_vowel(word: str) -> bool:
    return "v" in _kinds(word)


def _is_doubled(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _kinds(word)[-1] == "c"


def _is_short(word: str) -> bool:
    """Whether it ends as "hop": consonant, vowel, and a consonant that is not w, x or y."""
    return _kinds(word).endswith("cvc") and word[-1] not in "wxy"
