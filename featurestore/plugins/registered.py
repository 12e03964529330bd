"""The parts that installed packages register as entry points: found by name, loaded one at a time.

Listing names reads the packages' metadata and imports nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, TypeVar

from featurestore.errors import FeatureStoreError, UnknownNameError
from featurestore.plugins.part import Part

ENCODERS = "featurestore.encoders"
TEXTS = "featurestore.texts"
PREDICTORS = "featurestore.predictors"
SOURCES = "featurestore.sources"

#: The groups of entry points, and what the parts of each are called.
KINDS = {
    ENCODERS: "encoder",
    TEXTS: "text source",
    PREDICTORS: "predictor",
    SOURCES: "structure reader",
}

P = TypeVar("P", bound=Part)


class PartImportError(FeatureStoreError):
    """The module of a part cannot be imported; other parts go on working."""


class PartConflictError(FeatureStoreError):
    """Several packages register a part under one name; none of them is chosen silently."""


class NotAPartError(FeatureStoreError):
    """What a package registers is no part of that kind."""


@dataclass(frozen=True)
class Registered:
    """An entry point and the package that has it."""

    group: str
    name: str
    path: str
    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.path})"


def loaded_alone(group: str, what: str) -> Any:
    """What the one package that may register something in a group has there.

    Parameters
    ----------
    group : str
        Of entry points.
    what : str
        What is registered, for messages.

    Raises
    ------
    FeatureStoreError
        If nothing is registered, or several things are.
    """
    found = list(metadata.entry_points(group=group))
    if len({entry.value for entry in found}) != 1:
        names = ", ".join(sorted({entry.value for entry in found})) or "none"
        raise FeatureStoreError(
            f"one package must register {what} under {group}; registered: {names}"
        )
    return found[0].load()


def part_names(group: str) -> tuple[str, ...]:
    """The names registered in a group, sorted; nothing is imported."""
    return tuple(sorted(_entries(group, tuple(sys.path))))


def registered(group: str, name: str) -> Registered:
    """Which package registers the part of that name; nothing is imported.

    Raises
    ------
    UnknownNameError
        If there is none, with the nearest names.
    PartConflictError
        If there are several.
    """
    entries = _entries(group, tuple(sys.path))
    if name not in entries:
        raise UnknownNameError(KINDS[group], name, entries)
    found = entries[name]
    if len(found) > 1:
        raise PartConflictError(
            f"the {KINDS[group]} {name!r} is registered by {' and by '.join(map(str, found))}: "
            "which is meant cannot be known; uninstall one of them"
        )
    return found[0]


def load_part(group: str, name: str, kind: type[P]) -> P:
    """Import the part of that name, and no other.

    Parameters
    ----------
    group : str
        One of the groups above.
    kind : type
        The class of the group's parts.

    Raises
    ------
    UnknownNameError, PartConflictError
        As for `registered`.
    PartImportError
        If its module cannot be imported; names the package, the entry point and the cause.
    NotAPartError
        If it is no ``kind``, or calls itself otherwise than its entry point.
    """
    entry = registered(group, name)
    what = f"the {KINDS[group]} {name!r} of {entry}"
    try:
        part = metadata.EntryPoint(name, entry.path, group).load()
    # A stranger's module raises whatever it raises.
    except (Exception, SystemExit) as error:
        raise PartImportError(
            f"{what} cannot be imported: {type(error).__name__}: {error}; reinstall the package or "
            "uninstall it"
        ) from error
    if not isinstance(part, kind):
        raise NotAPartError(f"{what} is of class {type(part).__name__}, not {kind.__name__}")
    if part.name != name:
        raise NotAPartError(f"{what} calls itself {part.name!r}; the two names must be the same")
    return part


@cache
def _entries(group: str, path: tuple[str, ...]) -> dict[str, tuple[Registered, ...]]:
    """By name what registers it; `path` is where packages were looked for."""
    found: dict[str, list[Registered]] = {}
    for entry in metadata.entry_points(group=group):
        package = entry.dist.metadata["Name"] if entry.dist else "an unknown package"
        version = entry.dist.version if entry.dist else ""
        found.setdefault(entry.name, []).append(
            Registered(
                group=group, name=entry.name, path=entry.value, package=package, version=version
            )
        )
    return {name: tuple(entries) for name, entries in found.items()}
