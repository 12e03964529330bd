"""Parameters of a query as they are typed on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from featurestore.errors import InvalidInputError
from featurestore.session import Parameters

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def parse_parameters(given: Sequence[str]) -> Parameters:
    """Values for ``$name`` from ``name=value``, or for ``?``, in order, from bare values.

    A value is a number, ``true``, ``false``, ``null`` or a list of such, as JSON writes them; all
    else is text. Text that looks like a number goes in double quotes: ``'name="12"'``.

    Raises
    ------
    InvalidInputError
        If named and bare values are mixed, or a name comes twice.
    """
    named: dict[str, Any] = {}
    bare: list[Any] = []
    for item in given:
        if match := _NAMED.fullmatch(item):
            name = match[1]
            if name in named:
                raise InvalidInputError(f"parameter {name!r} is given twice")
            named[name] = _value(match[2])
        else:
            bare.append(_value(item))
    if named and bare:
        raise InvalidInputError(
            f"parameters are either all named, as {next(iter(named))}=…, for $name in the query, "
            "or all bare, for ?; got both (text with an equals sign goes in double quotes)"
        )
    return named or bare


def _value(text: str) -> Any:
    """``text`` as JSON says, else as it is; so is NaN, which JSON lacks and formulas look like."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    # RecursionError on deep nesting, ValueError also on a number of thousands of digits
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, dict) else value


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
