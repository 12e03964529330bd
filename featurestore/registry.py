"""The registry of properties: which the store knows, and in which unit."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.files import read_toml


@dataclass(frozen=True)
class Property:
    """A material property.

    Parameters
    ----------
    name : str
        As in the ``properties`` table.
    unit : str
        Unit of its values; "1" where it has none.
    plausible : tuple of float
        Lowest and highest plausible value, in ``unit``; by default every one is.
    """

    name: str
    unit: str
    plausible: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True)
class PropertyRegistry:
    """Properties by name."""

    properties: Mapping[str, Property]

    def __getitem__(self, name: str) -> Property:
        """The property of that name.

        Raises
        ------
        UnknownNameError
            With a known name that is the same but for case and separators, and how to add one:
            names that look alike, as those of two band gaps, are other physical quantities.
        """
        if name not in self.properties:
            same = [known for known in self.properties if _letters(known) == _letters(name)]
            raise UnknownNameError(
                "property",
                name,
                same,
                "(to add one of your own, name its unit with the column, --column "
                "COLUMN=NAME:UNIT, or write [NAME] with unit and range into a TOML file and pass "
                "it with --property-registry)",
                otherwise="the registry has none that is the same quantity",
            )
        return self.properties[name]

    def extended(self, properties: Iterable[Property]) -> PropertyRegistry:
        """With further properties.

        Raises
        ------
        InvalidInputError
            If one is known with another unit.
        """
        known = dict(self.properties)
        for one in properties:
            unit = known.setdefault(one.name, one).unit
            if unit != one.unit:
                raise InvalidInputError(
                    f"property {one.name!r} is in {unit}, not in {one.unit}: give the values in "
                    f"{unit}, or the property another name"
                )
        return PropertyRegistry(known)

    def __contains__(self, name: object) -> bool:
        """Whether the registry knows the name."""
        return name in self.properties


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def load_registry(*extensions: Path) -> PropertyRegistry:
    """The built-in registry, extended or overridden by TOML files of the same form.

    Raises
    ------
    InvalidInputError
        If a file cannot be read or an entry lacks its unit or range.
    """
    built_in = resources.files("featurestore").joinpath("properties.toml").read_text("utf-8")
    entries = _parse(tomllib.loads(built_in), "properties.toml")
    for path in extensions:
        try:
            content = read_toml(path)
        except InvalidInputError as error:
            raise InvalidInputError(f"property registry: {error}") from error
        entries |= _parse(content, str(path))
    return PropertyRegistry(entries)


def _parse(content: Mapping[str, Any], origin: str) -> dict[str, Property]:
    entries = {}
    for name, entry in content.items():
        try:
            low, high = (float(limit) for limit in entry["range"])
            if not -math.inf < low < high < math.inf or not isinstance(entry["unit"], str):
                raise ValueError
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(
                f'{origin}: [{name}] needs unit = "…" and range = [low, high], finite, with '
                "low < high"
            ) from error
        entries[name] = Property(name, entry["unit"], (low, high))
    return entries
