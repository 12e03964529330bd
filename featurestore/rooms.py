"""Finds out whether a user's own file hides one of this package's rooms."""

from __future__ import annotations

from importlib.util import find_spec

from featurestore.errors import FeatureStoreError

ROOMS = ("featurestore", "ingest", "train", "explain")


class ShadowedRoomError(FeatureStoreError):
    """A file of the user has the name of one of this package's rooms and is found before it."""


def check_not_shadowed(room: str) -> None:
    """Raise if the module of that name is a file or folder that is not this package's.

    Raises
    ------
    ShadowedRoomError
        Naming the file, and what to do.
    """
    found = find_spec(room)
    if found is None or room not in ROOMS:
        return
    # Each room of this package has commands of its own.
    if found.submodule_search_locations is None or find_spec(f"{room}.cli") is None:
        place = found.origin or ", ".join(found.submodule_search_locations or ())
        raise ShadowedRoomError(
            f"{place} hides this package's {room!r}: Python finds it first. Rename it, or run from "
            "another folder"
        )
