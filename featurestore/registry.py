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

from featurestore.classes import BOOLEAN, category_unit, classes_of
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.files import read_toml
from featurestore.session_tables import MATERIAL_COLUMNS

_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)


@dataclass(frozen=True)
class Property:
    """A material property.

    Parameters
    ----------
    name : str
        As in the ``properties`` table.
    unit : str
        Unit of its values; "1" where it has none. Of a property of classes what stands in its
        place, see `featurestore.classes`.
    plausible : tuple of float
        Lowest and highest plausible value, in ``unit``; by default every one is.
    title : str
        What figures and pages call it; empty where that is its name.
    """

    name: str
    unit: str
    plausible: tuple[float, float] = (-math.inf, math.inf)
    title: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes in order; none for a property of numbers."""
        return classes_of(self.unit)


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
                "COLUMN=NAME:UNIT, where NAME:boolean and NAME:category[A,B] have classes, or "
                "write [NAME] with unit and range, or kind and classes, into a TOML file and "
                "pass it with --property-registry)",
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


def check_property_name(name: str) -> None:
    """Raise unless a property can be called so.

    Raises
    ------
    InvalidInputError
        If the name could not be used in SQL beside the columns of ``materials``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} is no name of a property: it has letters, digits, _ and -, a letter first"
        )
    if name.lower() in {column.lower() for column in MATERIAL_COLUMNS}:
        raise InvalidInputError(
            f"a property cannot be called {name!r}: materials have a column of this name"
        )


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
        if isinstance(entry, dict) and entry.get("kind", "number") != "number":
            entries[name] = _of_classes(name, entry, origin)
            continue
        try:
            low, high = (float(limit) for limit in entry["range"])
            if not -math.inf < low < high < math.inf or not isinstance(entry["unit"], str):
                raise ValueError
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(
                f'{origin}: [{name}] needs unit = "…" and range = [low, high], finite, with '
                "low < high"
            ) from error
        title = entry.get("title", "")
        if not isinstance(title, str):
            raise InvalidInputError(f"{origin}: [{name}] has a title that is no text")
        entries[name] = Property(name, entry["unit"], (low, high), title)
    return entries


def _of_classes(name: str, entry: Mapping[str, Any], origin: str) -> Property:
    kind, classes = entry["kind"], entry.get("classes")
    if kind == "boolean" and classes is None:
        return Property(name, BOOLEAN, (0.0, 1.0))
    if kind != "category" or not isinstance(classes, list):
        raise InvalidInputError(
            f'{origin}: [{name}] has kind = "number" with unit and range, kind = "boolean", or '
            'kind = "category" with classes = ["…", "…"]'
        )
    if not all(isinstance(one, str) for one in classes):
        raise InvalidInputError(f"{origin}: [{name}] has classes that are no texts")
    try:
        return Property(name, category_unit(classes), (0.0, len(classes) - 1.0))
    except InvalidInputError as error:
        raise InvalidInputError(f"{origin}: [{name}]: {error}") from error
