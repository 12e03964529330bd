"""Imports robocrys in less than half of the time: without two checks of what has been published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def without_checks() -> Iterator[None]:
    """While robocrys is imported, believe what its libraries check each time anew.

    pymatgen parses the literature references of the 288 prototypes that it carries, and inflect has
    its functions rewritten so that the types of their arguments are checked: 8 of 14 s of processor
    time. Neither changes what the libraries hold or say. Modules that are there already stay as
    they are.
    """
    import typeguard
    from pymatgen.util import provenance

    with (
        patch.object(provenance, "is_valid_bibtex", _believed),
        patch.object(typeguard, "typechecked", _unchanged),
    ):
        yield


def _believed(reference: str) -> bool:
    return True


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
