"""How numbers stand in a text before it becomes tokens: as they are, rounded, digit by digit.

WordPiece cuts 82.92 into pieces of its vocabulary, 82 . 92, and other numbers elsewhere, so that
near numbers need not look alike. As single digits they have the same form throughout, at the price
of more tokens (E. Wallace et al., "Do NLP models know numbers?", EMNLP 2019).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from featurestore.errors import InvalidInputError

#: The key of ``config.json`` that tells how a model was taught numbers.
NUMBERS = "numbers"

_DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\w)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)(?=\d)")
_MOST_DECIMALS = 9


@dataclass(frozen=True)
class NumberForm:
    """Parameters of the form of numbers.

    Parameters
    ----------
    digits : bool
        Whether each digit becomes a word of its own.
    decimals : int or None
        Places that decimal fractions are rounded to; None: all that are written.

    Raises
    ------
    InvalidInputError
        If there are to be more than nine decimals, or fewer than none.
    """

    digits: bool = False
    decimals: int | None = None

    def __post_init__(self) -> None:
        if self.decimals is not None and not 0 <= self.decimals <= _MOST_DECIMALS:
            raise InvalidInputError(
                f"numbers can be rounded to 0 to {_MOST_DECIMALS} decimals, not {self.decimals}"
            )

    def __call__(self, text: str) -> str:
        """The text with its numbers in this form.

        >>> NumberForm(digits=True, decimals=1)("a density of 6.233 in group 225")
        'a density of 6.2 in group 2 2 5'
        """
        if (places := self.decimals) is not None:
            text = _DECIMAL.sub(lambda found: f"{float(found[0]):.{places}f}", text)
        return _BETWEEN_DIGITS.sub(" ", text) if self.digits else text

    @property
    def plain(self) -> bool:
        """Whether texts stay as they are."""
        return self == NumberForm()

    def said(self) -> dict[str, Any]:
        """For ``config.json`` and the fingerprint; nothing where texts stay as they are."""
        return {} if self.plain else {NUMBERS: asdict(self)}


def number_form(config: Mapping[str, Any]) -> NumberForm:
    """The form that a model was taught, by its ``config.json``.

    Raises
    ------
    InvalidInputError
        If it is told in another way.
    """
    said = config.get(NUMBERS)
    if said is None:
        return NumberForm()
    digits = said.get("digits") if isinstance(said, Mapping) else None
    decimals = said.get("decimals") if isinstance(said, Mapping) else None
    whole = decimals is None or (isinstance(decimals, int) and not isinstance(decimals, bool))
    if not isinstance(digits, bool) or not whole:
        raise InvalidInputError(f"config.json: {NUMBERS!r} is {said!r:.80}, no form of numbers")
    return NumberForm(digits, decimals)
