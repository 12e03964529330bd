"""The explanation room: what in the text and the structure a stored model relies on.

Its functions do what the commands of ``featurestore explain`` do; each is imported when it is first
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explain.erasing.effects_table import StoredEffects
    from explain.library import erase_tags, erase_words, silence_segments, write_report
    from explain.segments.analysis import SegmentEffects
    from explain.tags.analysis import TagAnalysis
    from explain.words.contributions import Contributions

__all__ = [
    "Contributions",
    "SegmentEffects",
    "StoredEffects",
    "TagAnalysis",
    "erase_tags",
    "erase_words",
    "silence_segments",
    "write_report",
]

_HOMES = {
    "Contributions": "explain.words.contributions",
    "SegmentEffects": "explain.segments.analysis",
    "StoredEffects": "explain.erasing.effects_table",
    "TagAnalysis": "explain.tags.analysis",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "explain.library")), name)
    raise AttributeError(f"module 'explain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
