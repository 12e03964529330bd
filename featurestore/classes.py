"""Properties whose values are classes: the names of the classes stand in place of a unit.

A truth value's unit is ``boolean``, whose classes are false and true; a category's is
``category ["cubic","hexagonal"]``, all its classes in order. Stored values are the classes' places,
from 0. So every row, view, model and forecast says what its numbers mean, and two lists of classes
are two units, which are never mixed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.identity import canonical_json

BOOLEAN = "boolean"
TRUTH = ("false", "true")
_CATEGORY = "category "
_MOST = 1000
# as people write it with a column: category[cubic, hexagonal], or ["cubic", "hexagonal"] as stored
_WRITTEN = re.compile(r"category\s*\[(.*)\]", re.DOTALL)


def category_unit(classes: Sequence[str]) -> str:
    """What stands in place of a unit for these classes.

    Raises
    ------
    InvalidInputError
        If there are fewer than two or more than 1,000, one is empty, begins or ends with a space,
        or two differ by no more than case: nobody could tell them apart in a table.
    """
    if not 2 <= len(classes) <= _MOST:
        raise InvalidInputError(
            f"a category has from 2 to {_MOST:,} classes, not {len(classes):,}: {list(classes)[:5]}"
        )
    first: dict[str, str] = {}
    for name in classes:
        if not name or name != name.strip() or not name.isprintable():
            raise InvalidInputError(
                f"{name!r} is no name of a class: it is empty, or has spaces around it or "
                "characters that do not print"
            )
        other = first.get(name.casefold())
        first[name.casefold()] = name
        if other is not None:
            raise InvalidInputError(
                f"class {name!r} is named twice"
                if other == name
                else f"the classes {other!r} and {name!r} differ only by case: write them alike"
            )
    return _CATEGORY + canonical_json(list(classes))


def classes_of(unit: str | None) -> tuple[str, ...]:
    """The classes that stand in place of a unit, in order; none for a unit of numbers.

    A damaged row may have no unit at all; it has no classes.
    """
    if unit == BOOLEAN:
        return TRUTH
    if unit is None or not unit.startswith(_CATEGORY):
        return ()
    try:
        found = json.loads(unit.removeprefix(_CATEGORY))
        return tuple(found) if category_unit(found) == unit else ()
    except (ValueError, TypeError, AttributeError, InvalidInputError):
        return ()


def written_unit(text: str) -> str:
    """A unit as it is stored; ``category[a, b]`` is how people write classes.

    Raises
    ------
    InvalidInputError
        If a category names no classes, or two that cannot be told apart.
    """
    if classes_of(text):
        return text
    if found := _WRITTEN.fullmatch(text):
        return category_unit([part.strip() for part in found[1].split(",")])
    if text.partition(" ")[0].partition("[")[0] == _CATEGORY.strip():
        raise InvalidInputError(
            f"{text!r} names no classes: write category[FIRST, SECOND, …], in the order wanted"
        )
    return text


def place_of(name: str, unit: str, property: str) -> int:
    """Which class of a property a name is.

    Raises
    ------
    UnknownNameError
        With the classes.
    InvalidInputError
        If the property has numbers and no classes.
    """
    classes = classes_of(unit)
    if not classes:
        raise InvalidInputError(
            f"property {property!r} has numbers in {unit}, no classes; derive a property of "
            "classes from it with: featurestore properties derive"
        )
    same = {one.casefold(): place for place, one in enumerate(classes)} if unit == BOOLEAN else {}
    if name in classes:
        return classes.index(name)
    if name.casefold() in same:
        return same[name.casefold()]
    raise UnknownNameError(f"class of {property}", name, classes)


def class_names(values: Iterable[float], unit: str) -> list[str]:
    """The names of stored values."""
    classes = classes_of(unit)
    return [classes[int(value)] for value in values]


def check_places(values: npt.NDArray[np.float64], unit: str, ids: Sequence[str]) -> None:
    """Raise unless all values, shape (n,), are places of the unit's classes.

    Raises
    ------
    InvalidInputError
        Naming the first material whose value is none: someone has written it past this package.
    """
    wrong = ~np.isin(values, np.arange(len(classes_of(unit))))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(
            f"material {ids[row]!r} has the value {values[row]:g}, which is the place of no class "
            f"in {unit}: correct it with featurestore ingest targets --replace"
        )


def shown_unit(unit: str) -> str:
    """A unit for people: classes by their names, of many the first."""
    classes = classes_of(unit)
    if not classes:
        return unit
    more = f" and {len(classes) - 6} more" if len(classes) > 6 else ""
    return " or ".join(classes) if len(classes) == 2 else ", ".join(classes[:6]) + more
