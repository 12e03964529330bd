"""The nearest vectors to one, by cosine, among those of a training view; exact, in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def nearest(
    vectors: npt.NDArray[np.float32], query: int, k: int, exclude: npt.NDArray[np.bool_]
) -> list[tuple[int, float]]:
    """The k rows most alike to a row, with their cosine, the most alike first.

    Parameters
    ----------
    vectors : ndarray, shape (n, width), float32
        Rows to search.
    query : int
        The row whose neighbours are wanted.
    k : int
        How many; fewer if there are not so many rows.
    exclude : ndarray, shape (n,), bool
        Rows that do not count, such as the query's own crystal.
    """
    rows = vectors.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    lengths[lengths == 0] = 1.0
    cosines = rows @ rows[query] / (lengths * lengths[query])
    cosines[exclude] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(k, int((~exclude).sum()))]
    return [(int(i), float(cosines[i])) for i in order]
