"""The registry of properties: which the store knows, and in which unit."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
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
        Lowest and highest plausible value, in ``unit``.
    """

    name: str
    unit: str
    plausible: tuple[float, float]


@dataclass(frozen=True)
class PropertyRegistry:
    """Properties by name."""

    properties: Mapping[str, Property]

    def __getitem__(self, name: str) -> Property:
        """The property of that name.

        Raises
        ------
        UnknownNameError
            With the nearest known names, and how to add one.
        """
        if name not in self.properties:
            raise UnknownNameError(
                "property",
                name,
                self.properties,
                "(to add one, write [name] with unit and range into a TOML file and pass it "
                "with --property-registry)",
            )
        return self.properties[name]

    def __contains__(self, name: object) -> bool:
        """Whether the registry knows the name."""
        return name in self.properties


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
