"""Formulas and chemical systems in users' SQL, which may be written in another order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TEXT = r"'(?:[^']|'')*'"
_ONE = rf"(?:{_TEXT}|\?|\$\w+)"
_COMPARED = re.compile(
    rf'\b(formula|chemsys)\b"?\s*(?:==?|<>|!=|(?:not\s+)?in\s*\()\s*({_ONE}(?:\s*,\s*{_ONE})*)',
    re.IGNORECASE,
)
_REVERSED = re.compile(
    rf'({_ONE})\s*(?:==?|<>|!=)\s*(?:\w+\.)?"?(formula|chemsys)\b(?!")?(?!\s*\()', re.IGNORECASE
)
_PART = re.compile(_ONE)
_ELEMENTS = re.compile(r"[A-Z][a-z]?(?:\s*[-,;/ ]\s*[A-Z][a-z]?)*")
_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*|\((?:[A-Z][a-z]?\d*)+\)\d*)+")


def compared_names(
    sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> Iterator[tuple[str, str]]:
    """The texts that the columns ``formula`` and ``chemsys`` are compared with, where they look
    like one: (column, text).

    Parameters
    ----------
    sql : str
        A statement or condition.
    parameters : sequence or mapping
        Values of its ``?`` or ``$name``.
    """
    found = [(match[1], match, 2) for match in _COMPARED.finditer(sql)]
    found += [(match[2], match, 1) for match in _REVERSED.finditer(sql)]
    for column, match, group in found:
        column = column.lower()
        looks = _ELEMENTS if column == "chemsys" else _FORMULA
        for part in _PART.finditer(match[group]):
            value = _value(part[0], sql, match.start(group) + part.start(), parameters)
            if isinstance(value, str) and looks.fullmatch(value):
                yield column, value


def _value(
    part: str, sql: str, place: int, parameters: Sequence[Any] | Mapping[str, Any]
) -> object:
    if part.startswith("'"):
        return part[1:-1].replace("''", "'")
    if isinstance(parameters, Mapping):
        return parameters.get(part[1:])
    number = re.sub(_TEXT, "", sql[:place]).count("?")
    return parameters[number] if part == "?" and number < len(parameters) else None
