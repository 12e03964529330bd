"""The three ways to say how far apart two vectors are, and which queries they can answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError

METRICS = ("cosine", "l2", "dot")


def check_metric(metric: str) -> None:
    """Raise `InvalidInputError` unless the metric is "cosine", "l2" or "dot".

    The distances are 1 - cos, the Euclidean distance, and minus the product.
    """
    if metric not in METRICS:
        raise InvalidInputError(f"the metric is one of {', '.join(METRICS)}, not {metric!r}")


def check_count(k: int) -> None:
    """Raise `InvalidInputError` unless ``k`` is a whole number from 1."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InvalidInputError(f"k counts the neighbours wanted, a whole number from 1, not {k!r}")


def checked_queries(vectors: Any, width: int, metric: str) -> npt.NDArray[np.float32]:
    """Query vectors as an array of shape (n, width), float32; one vector is (1, width).

    Raises
    ------
    InvalidInputError
        If they are no numbers, have another width, hold NaN or infinity, or, for the cosine, one
        is zero throughout.
    """
    try:
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"query vectors must be numbers of one width: {error}") from error
    if queries.ndim == 1:
        queries = queries[None, :]
    if queries.ndim != 2 or queries.shape[1] != width:
        raise InvalidInputError(
            f"query vectors have shape {np.shape(vectors)}; this space has vectors of width {width}"
        )
    bad = np.flatnonzero(~np.isfinite(queries).all(axis=1))
    if bad.size:
        raise InvalidInputError(f"query vector {bad[0]} holds NaN or infinity")
    if metric == "cosine":
        zero = np.flatnonzero(~queries.any(axis=1))
        if zero.size:
            raise InvalidInputError(
                f"query vector {zero[0]} is zero throughout and has no direction; compare by "
                "metric 'l2' or 'dot'"
            )
    return queries
