"""Several rankings made one: reciprocal rank fusion.

G. Cormack, C. Clarke and S. Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
Rank Learning Methods", SIGIR 2009: an item's score is the sum of 1 / (60 + rank) over the rankings
it is in.
"""

from __future__ import annotations

from collections.abc import Sequence

_CONSTANT = 60
#: How many items of each ranking take part, for k wanted.
DEPTH_FACTOR, SMALLEST_DEPTH = 10, 200


def depth(k: int) -> int:
    """How many items of each ranking to fuse for k results."""
    return max(DEPTH_FACTOR * k, SMALLEST_DEPTH)


def fused(rankings: Sequence[Sequence[str]]) -> list[tuple[str, float]]:
    """Items with their scores, best first, equal scores by name."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (_CONSTANT + rank)
    return sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
