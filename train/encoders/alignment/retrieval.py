"""How well one side's vectors find the other's: recall and rank of the true partner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_NEIGHBOURS = 100
_QUERIES_AT_ONCE = 1024
# D. P. Kingma's epsilon would do: a similarity to no anchor at all has no direction.
_TINY = 1e-12


@dataclass(frozen=True)
class Retrieval:
    """What a search of one side by the other finds.

    Parameters
    ----------
    way : str
        How: "joint space", "neighbours of training pairs", "chance".
    query, candidates : str
        "structure" or "text".
    recall_1, recall_10 : float
        Share of queries whose partner is the first hit, or among the first ten.
    median_rank : float
        Of the partner; 1 is the best.
    n : int
        Queries, and candidates.
    """

    way: str
    query: str
    candidates: str
    recall_1: float
    recall_10: float
    median_rank: float
    n: int


def ranks(
    queries: Floats, candidates: Floats, partners: Sequence[str], contents: Sequence[str]
) -> npt.NDArray[np.float64]:
    """The rank of each query's partner among all candidates, by the cosine, from 1.

    Candidates as near as the partner count half, so that vectors that are all alike rank as chance
    does. Of several candidates with the partner's content the nearest counts.

    Parameters
    ----------
    queries, candidates : ndarray, shapes (n, d) and (m, d), float32
    partners : sequence of str, length n
        The content that each query should find.
    contents : sequence of str, length m
        That of each candidate.
    """
    left, right = _directions(queries), _directions(candidates)
    place: dict[str, list[int]] = {}
    for row, content in enumerate(contents):
        place.setdefault(content, []).append(row)
    found = np.empty(len(queries))
    for start in range(0, len(left), _QUERIES_AT_ONCE):
        scores = left[start : start + _QUERIES_AT_ONCE] @ right.T
        for row, of_query in enumerate(scores, start):
            mine = place[partners[row]]
            best = of_query[mine].max()
            of_query[mine] = -np.inf  # its other copies are no rivals
            found[row] = 1 + (of_query > best).sum() + 0.5 * (of_query == best).sum()
    return found


def summary(way: str, query: str, found: npt.NDArray[np.float64]) -> Retrieval:
    """Recall and median of the ranks of a query's partner."""
    return Retrieval(
        way=way,
        query=query,
        candidates={"structure": "text", "text": "structure"}[query],
        recall_1=float((found <= 1).mean()),
        recall_10=float((found <= 10).mean()),
        median_rank=float(np.median(found)),
        n=len(found),
    )


def chance(query: str, n: int) -> Retrieval:
    """What drawing the candidates at random finds."""
    return Retrieval(
        way="chance",
        query=query,
        candidates={"structure": "text", "text": "structure"}[query],
        recall_1=1 / n,
        recall_10=min(10 / n, 1.0),
        median_rank=(n + 1) / 2,
        n=n,
    )


def by_neighbours(vectors: Floats, anchors: Floats, k: int = _NEIGHBOURS) -> Floats:
    """Vectors told by their nearest anchors, float32 of shape (n, anchors); nothing is learned.

    Each entry is 1 / (60 + rank) for the ``k`` nearest of a side's own training vectors, else 0: a
    structure and a text whose neighbours are the same materials point the same way. Their product
    is a fused search, structure by structure and text by text, in which materials with both stand
    between; the idea of relative coordinates is that of A. Norelli et al., "ASIF: Coupled data
    turns unimodal models to multimodal without training", NeurIPS 2023.
    """
    mean = anchors.mean(axis=0)
    scores = _directions(vectors - mean) @ _directions(anchors - mean).T
    k = min(k, scores.shape[1])
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.zeros_like(scores)
    np.put_along_axis(
        found, nearest, np.float32(1) / (60 + np.arange(1, k + 1, dtype=np.float32)), 1
    )
    return found


def _directions(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, _TINY)
