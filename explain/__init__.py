"""The explanation room: what in the text and the structure a stored model relies on.

Its functions do what the commands of ``featurestore explain`` do; each is imported when it is first
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.lazy import lazily

if TYPE_CHECKING:
    from explain.erasing.effects_table import StoredEffects
    from explain.library import erase_tags, erase_words, silence_segments, why, write_report
    from explain.reasons.cases import Reasons, Why
    from explain.segments.analysis import SegmentEffects
    from explain.tags.analysis import TagAnalysis
    from explain.words.contributions import Contributions

__all__ = [
    "Contributions",
    "Reasons",
    "SegmentEffects",
    "StoredEffects",
    "TagAnalysis",
    "Why",
    "erase_tags",
    "erase_words",
    "silence_segments",
    "why",
    "write_report",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Contributions": "explain.words.contributions",
        "Reasons": "explain.reasons.cases",
        "SegmentEffects": "explain.segments.analysis",
        "StoredEffects": "explain.erasing.effects_table",
        "TagAnalysis": "explain.tags.analysis",
        "Why": "explain.reasons.cases",
        "erase_tags": "explain.library",
        "erase_words": "explain.library",
        "silence_segments": "explain.library",
        "why": "explain.library",
        "write_report": "explain.library",
    },
)
