"""Array arithmetic that gives, bit for bit, what the libraries get one vector at a time.

Robocrystallographer compares weights and order parameters with thresholds, and ideal crystals sit
exactly on ties, so the last bit can decide a word. ``numpy.vecdot`` and ``numpy.vecmat`` call the
same dot product as ``numpy.dot`` does for a single vector; sums over an axis and ``einsum`` round
differently. Transcendental functions are those of :mod:`math`, as in the libraries, since NumPy's
own vectorised ones differ in the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def norm(vectors: Array) -> Array:
    """Lengths of the vectors along the last axis, as ``numpy.linalg.norm`` of each."""
    return np.sqrt(np.vecdot(vectors, vectors))


def elementwise(function: Callable[[float], float], values: Array) -> Array:
    """``function`` of each value, in the shape of ``values``."""
    flat = np.fromiter(map(function, values.ravel().tolist()), np.float64, values.size)
    return flat.reshape(values.shape)


def gaussian(x: Array) -> Array:
    """``exp(-x²/2)`` of each value."""
    return elementwise(math.exp, -0.5 * x * x)


def angle(cosines: Array) -> Array:
    """The angle in radians of each cosine, after cutting rounding noise beyond ±1."""
    return elementwise(math.acos, np.maximum(-1.0, np.minimum(cosines, 1.0)))
