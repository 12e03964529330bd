"""The writing room: turns structures into sentences and vectors and puts them into the store.

Its functions do what the commands of ``featurestore ingest`` do; each is imported when it is first
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.lazy import lazily

if TYPE_CHECKING:
    from ingest.library.duplicates import find_duplicates
    from ingest.library.providers import add_mp, add_optimade
    from ingest.library.splits import add_splits
    from ingest.library.structures import add_jarvis, add_sample, add_structures
    from ingest.library.tables import add_table
    from ingest.library.targets import add_targets
    from ingest.library.text import describe
    from ingest.library.vectors import add_vectors, encode
    from ingest.recording import Ingested
    from ingest.stages.selection import Selection

__all__ = [
    "Ingested",
    "Selection",
    "add_jarvis",
    "add_mp",
    "add_optimade",
    "add_sample",
    "add_splits",
    "add_structures",
    "add_table",
    "add_targets",
    "add_vectors",
    "describe",
    "encode",
    "find_duplicates",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Ingested": "ingest.recording",
        "Selection": "ingest.stages.selection",
        "add_jarvis": "ingest.library.structures",
        "add_mp": "ingest.library.providers",
        "add_optimade": "ingest.library.providers",
        "add_sample": "ingest.library.structures",
        "add_splits": "ingest.library.splits",
        "add_structures": "ingest.library.structures",
        "add_table": "ingest.library.tables",
        "add_targets": "ingest.library.targets",
        "add_vectors": "ingest.library.vectors",
        "describe": "ingest.library.text",
        "encode": "ingest.library.vectors",
        "find_duplicates": "ingest.library.duplicates",
    },
)
