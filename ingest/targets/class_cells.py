"""One cell as a class: its place among the classes, nothing, or why it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from featurestore.classes import TRUTH
from featurestore.failure import Failure

_MISSING = ("", "na")
_WORDS_OF_TRUTH = {
    **dict.fromkeys(("false", "no", "f", "n", "0"), 0.0),
    **dict.fromkeys(("true", "yes", "t", "y", "1"), 1.0),
}


def parse_class(value: object, classes: Sequence[str]) -> float | Failure | None:
    """The place of a class from a file, None where it is missing, or why it is refused.

    A class is written as it is declared, but for spaces around it; a truth value also as a spread-
    sheet has it, as yes and no, or 1 and 0. Case counts: two spellings of one class are somebody's
    mistake or two classes, and nothing is guessed.
    """
    text = _text(value)
    if text is None:
        return None
    if tuple(classes) == TRUTH:
        if (found := _WORDS_OF_TRUTH.get(text.casefold())) is not None:
            return found
    elif text in classes and not isinstance(value, bool | np.bool_):
        return float(classes.index(text))
    if text.casefold() in _MISSING:
        return None
    return Failure("UnknownClass", f"{_short(text)} {_why(text, classes)}")


def _text(value: object) -> str | None:
    """A cell as text; whole numbers without their decimals, as spreadsheets add them."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer():
        return str(int(float(value)))
    return str(value).strip()


def _why(text: str, classes: Sequence[str]) -> str:
    if tuple(classes) == TRUTH:
        return "is no truth value: write true or false"
    same = [one for one in classes if one.casefold() == text.casefold()]
    if same:
        return f"differs by case from the class {same[0]!r}: write it so"
    listed = ", ".join(map(repr, classes[:8]))
    more = f" and {len(classes) - 8} more" if len(classes) > 8 else ""
    return f"is none of the classes {listed}{more}: correct it, or declare the class"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}…")
