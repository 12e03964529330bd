"""The writing room: turns structures into sentences and vectors and puts them into the store.

Its functions do what the commands of ``featurestore ingest`` do; each is imported when it is first
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.library import (
        add_jarvis,
        add_sample,
        add_splits,
        add_structures,
        add_vectors,
        describe,
        encode,
        find_duplicates,
    )
    from ingest.recording import Ingested
    from ingest.stages.selection import Selection

__all__ = [
    "Ingested",
    "Selection",
    "add_jarvis",
    "add_sample",
    "add_splits",
    "add_structures",
    "add_vectors",
    "describe",
    "encode",
    "find_duplicates",
]

_HOMES = {"Ingested": "ingest.recording", "Selection": "ingest.stages.selection"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "ingest.library")), name)
    raise AttributeError(f"module 'ingest' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
