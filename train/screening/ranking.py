"""Ranks, Pareto fronts, and a choice in which no family of materials takes all places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def pareto_front(values: Floats) -> npt.NDArray[np.bool_]:
    """Which rows no other row surpasses.

    A row surpasses another if it is at least as good in every column and better in one.

    Parameters
    ----------
    values : ndarray, shape (n, k), float64
        More is better.

    Returns
    -------
    ndarray, shape (n,), bool
    """
    different, place = np.unique(values, axis=0, return_inverse=True)
    found = np.zeros(len(different), bool)
    # what surpasses a row comes before it: its sum is larger, or equal by rounding
    order = np.lexsort((*different.T[::-1], different.sum(axis=1)))[::-1]
    front = np.empty((0, values.shape[1]))
    for row in order:
        # no other row is equal, so that one at least as good everywhere is better somewhere
        if not (front >= different[row]).all(axis=1).any():
            found[row] = True
            front = np.vstack([front, different[row]])
    return np.asarray(found[place.reshape(-1)])


def chosen_rows(
    order: Sequence[int], budget: int, caps: Sequence[tuple[Sequence[Hashable], int]]
) -> list[int]:
    """The first rows of an order, so many that no family has more than its share.

    Parameters
    ----------
    order : sequence of int
        Row numbers, best first.
    budget : int
        How many rows at most.
    caps : sequence of (sequence, int)
        The family of each row, and how many of a family may be chosen.
    """
    counts: list[Counter[Hashable]] = [Counter() for _ in caps]
    found: list[int] = []
    for row in order:
        if len(found) == budget:
            break
        if any(
            count[families[row]] >= most
            for count, (families, most) in zip(counts, caps, strict=True)
        ):
            continue
        found.append(row)
        for count, (families, _) in zip(counts, caps, strict=True):
            count[families[row]] += 1
    return found
