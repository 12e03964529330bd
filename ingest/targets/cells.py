"""One cell as a target: a number, nothing, or why it is refused and what to do about it."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.classes import classes_of
from featurestore.failure import Failure
from ingest.targets.class_cells import parse_class

_MISSING = {"na", ""}
# Fortran writes 1.0D-3.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+,?\d*|,\d+)(?:[eEdD][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(
    r"[+-]?\d{1,3}(?:([,.' \u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?", re.ASCII
)
_WITH_UNIT = re.compile(r"([+-]?[\d.,]+(?:[eE][+-]?\d+)?)\s*([^\d\s].*)", re.ASCII)
_NO_TRUTH = (
    "; targets are numbers: write 1 and 0, or give the column a property of truth values "
    "(--column COLUMN=NAME:boolean)"
)
_NO_VALUE = {"n/a", "n.a.", "n.d.", "null", "none", "nil", "missing", "-", "--", "—", "?"}
_NO_NUMBERS = {"nan", "inf", "infinity"}


def parse_target(value: object, decimal: str = ".", unit: str = "") -> float | Failure | None:
    """A target from a file: a finite number, None where it is missing, or why it is refused.

    JARVIS writes ``"na"`` for a missing value; an empty cell and ``null`` mean the same.

    Parameters
    ----------
    value : object
        The cell; a `Failure` of its reader stays one.
    decimal : {".", ","}
        What stands before the decimals in text.
    unit : str
        Of the property; where classes stand in its place, the number is the place of one.
    """
    if isinstance(value, Failure):
        return value
    if classes := classes_of(unit):
        return parse_class(value, classes)
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _MISSING:
            return None
        pattern = _NUMBER if decimal == "." else _DECIMAL_COMMA
        if not pattern.fullmatch(text):
            return _refused(f"{_short(text)} {_why_no_number(text, decimal)}")
        value = (text.replace(",", ".") if decimal == "," else text).lower().replace("d", "e")
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return _refused(f"{value} is a truth value{_NO_TRUTH}")
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return _refused(f"{value} is a date or time: a spreadsheet may have made it of a number")
    if not isinstance(value, int | float | str | Decimal | np.number):
        return _refused(f"{_short(value)} is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return _refused(f"{_short(value)} is no number")
    if not math.isfinite(number):
        return _refused(f"{_short(value)} is not finite; leave the cell empty if there is no value")
    return number


def parse_targets(
    cells: Sequence[Any], decimal: str = ".", unit: str = ""
) -> tuple[npt.NDArray[np.float64], dict[int, Failure]]:
    """The numbers of a column, NaN where there is none, and why cells are refused, by place."""
    quick = None if classes_of(unit) else _plain_numbers(cells, decimal)
    if quick is not None:
        return quick, {}
    numbers = np.full(len(cells), np.nan)
    refused = {}
    for place, cell in enumerate(cells):
        found = parse_target(cell, decimal, unit)
        if isinstance(found, Failure):
            refused[place] = found
        elif found is not None:
            numbers[place] = found
    return numbers, refused


def has_other_decimals(cell: object, decimal: str) -> bool:
    """Whether a text is a number by the other sign before decimals, and none by this one."""
    if not isinstance(cell, str):
        return False
    other, own = (_DECIMAL_COMMA, _NUMBER) if decimal == "." else (_NUMBER, _DECIMAL_COMMA)
    return bool(other.fullmatch(cell.strip())) and not own.fullmatch(cell.strip())


def may_be_thousands(cell: object, decimal: str) -> bool:
    """Whether a text such as ``1.234`` is 1234 where the other sign stands before decimals."""
    return isinstance(cell, str) and bool(
        re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}{re.escape(decimal)}\d{{3}}", cell.strip(), re.ASCII)
    )


def _plain_numbers(cells: Sequence[Any], decimal: str) -> npt.NDArray[np.float64] | None:
    """The numbers of a column in which nothing is odd; None if something may be."""
    kinds = set(map(type, cells))
    try:
        if kinds <= {str} and decimal == ".":
            # float() also takes underscores and the digits of other scripts.
            joined = "".join(cells)
            if not joined.isascii() or "_" in joined:
                return None
            numbers = np.array([float(cell) if cell else np.nan for cell in cells])
            missing = cells.count("")
        elif kinds <= {float, int, type(None)}:
            numbers = np.array(cells, dtype=np.float64)
            missing = cells.count(None)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return numbers if np.isfinite(numbers).sum() == len(cells) - missing else None


def _why_no_number(text: str, decimal: str) -> str:
    if text.startswith("#"):
        return "is a spreadsheet's error; mend its formula"
    if text.startswith("="):
        return "is a formula whose value was not saved: save the file in a spreadsheet program"
    if text.lower() in _NO_VALUE:
        return "stands for no value: leave the cell empty, or write na"
    if text.lower() in ("true", "false", "yes", "no"):
        return f"is a truth value{_NO_TRUTH}"
    if text.lower().lstrip("+-") in _NO_NUMBERS:
        return "is not finite; leave the cell empty if there is no value"
    if decimal == "." and _DECIMAL_COMMA.fullmatch(text) and text.count(",") == 1:
        return "has a comma: if it stands before decimals, say --decimal comma; else remove it"
    if decimal == "," and _NUMBER.fullmatch(text):
        return "has a point where decimals follow a comma (--decimal comma): which is meant?"
    if _THOUSANDS.fullmatch(text):
        return "has separators of thousands; remove them"
    if found := _WITH_UNIT.fullmatch(text):
        return f"has {_short(found[2])} after its number; name the unit with the column"
    return (
        "is text; targets are numbers, or classes of a property that has such "
        "(--column COLUMN=NAME:category[FIRST,SECOND])"
    )


def _refused(message: str) -> Failure:
    return Failure("InvalidTarget", message)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}…"
