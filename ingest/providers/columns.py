"""Whether fields of other people's data are there, and in the units of their properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.registry import PropertyRegistry


def check_columns(
    columns: Mapping[str, str],
    known: Iterable[str],
    unit: Callable[[str], str],
    registry: PropertyRegistry,
    who: str,
) -> list[str]:
    """Notes on fields of which no unit is stated.

    Parameters
    ----------
    known : iterable of str
        The fields that there are; none if that is not known.
    unit : callable
        From a field to the unit that is stated for it; empty if none is.
    who : str
        Whose fields they are, in words.

    Raises
    ------
    UnknownNameError
        If there is no such field.
    InvalidInputError
        If a field is stated in another unit than the property's.
    """
    fields = set(known)
    notes = []
    for field, name in columns.items():
        if fields and field not in fields:
            own = [one for one in fields if one.startswith("_")] or fields
            raise UnknownNameError(f"field of {who}", field, own)
        stated, wanted = unit(field), registry[name].unit
        if not stated:
            notes.append(f"{who} states no unit of {field}: taken as {wanted}, that of {name}")
        elif _plain(stated) != _plain(wanted):
            raise InvalidInputError(
                f"{who} gives {field} in {stated!r}, the property {name} is in {wanted!r}; take it "
                f"as a property of its own, {field}=NAME:{stated}"
            )
    return notes


_SPELT = {"angstrom": "Å", "dimensionless": "1", "unitless": "1", "mub": "μB", "bohrmagneton": "μB"}


def _plain(unit: str) -> str:
    """A unit whatever its spelling: ``eV per atom`` and ``eV/atom``, but ``meV`` is no ``MeV``."""
    text = re.sub(r"\s*(?:\bper\b|/)\s*", "/", unit.strip())
    text = re.sub(r"[\s_*·]+", "", text).replace("µ", "μ")
    return "/".join(_SPELT.get(part.lower(), part) for part in text.split("/"))
