"""Feature sets that this package knows by name; a store has one when it is defined there."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from featurestore.errors import UnknownNameError


@dataclass(frozen=True)
class ShippedSet:
    """A list of features, as they are written, and what it is for."""

    features: tuple[str, ...]
    description: str


def shipped_sets() -> dict[str, ShippedSet]:
    """All of them, by name."""
    text = resources.files("featurestore").joinpath("feature_sets.toml").read_text("utf-8")
    return {
        name: ShippedSet(tuple(entry["features"]), entry["description"])
        for name, entry in tomllib.loads(text).items()
    }


def find_shipped_set(name: str) -> ShippedSet:
    """The set of a name.

    Raises
    ------
    UnknownNameError
        If there is none: its features have to be named.
    """
    known = shipped_sets()
    if name not in known:
        raise UnknownNameError(
            "feature set of this package", name, known, "(for one of your own name its features)"
        )
    return known[name]
