"""The projection of an encoder's vectors into a joint space: standardised, two layers, length 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError
from featurestore.files import check_regular

Floats = npt.NDArray[np.float32]
WEIGHTS = "model.safetensors"
ARRAYS = ("centre", "size", "first", "first_bias", "second", "second_bias")
_MOST_BYTES = 2**30
_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, eq=False)
class Head:
    """Maps vectors of an encoder to directions in the joint space.

    Parameters
    ----------
    centre, size : ndarray, shape (width,), float32
        Subtracted from each vector, then divided by.
    first, first_bias : ndarray, shapes (width, hidden) and (hidden,), float32
    second, second_bias : ndarray, shapes (hidden, dimension) and (dimension,), float32
    """

    centre: Floats
    size: Floats
    first: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats

    @property
    def dimension(self) -> int:
        """Width of the joint space."""
        return int(self.second.shape[1])

    def __call__(self, vectors: Floats) -> Floats:
        """Directions of length 1, float32 of shape (n, dimension), of vectors (n, width).

        A vector whose direction is not defined becomes NaN.
        """
        out = np.empty((len(vectors), self.dimension), np.float32)
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            h = ((vectors[part] - self.centre) / self.size) @ self.first + self.first_bias
            # SiLU, by the tanh that does not overflow.
            h = h * (0.5 + 0.5 * np.tanh(0.5 * h))
            z = h @ self.second + self.second_bias
            with np.errstate(invalid="ignore"):
                out[part] = z / np.linalg.norm(z, axis=1, keepdims=True)
        return out


def read_head(folder: Path, width: int, dimension: int) -> Head:
    """The head whose weights are in the folder.

    Raises
    ------
    InvalidInputError
        If they cannot be read, are not finite, or do not fit these widths.
    """
    from safetensors.numpy import load_file

    path = folder / WEIGHTS
    check_regular(path, _MOST_BYTES)
    try:
        arrays = load_file(path)
    except Exception as error:  # the reader has several classes for a damaged file
        raise InvalidInputError(f"{path} cannot be read as weights: {error}") from error
    _check(path, arrays, width, dimension)
    return Head(**{name: arrays[name] for name in ARRAYS})


def _check(path: Path, arrays: Mapping[str, Floats], width: int, dimension: int) -> None:
    if sorted(arrays) != sorted(ARRAYS):
        raise InvalidInputError(f"{path} holds {', '.join(sorted(arrays))}, not {ARRAYS}")
    hidden = arrays["first_bias"].shape[-1] if arrays["first_bias"].ndim else 0
    shapes = ((width,), (width,), (width, hidden), (hidden,), (hidden, dimension), (dimension,))
    for name, shape in zip(ARRAYS, shapes, strict=True):
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise InvalidInputError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}, not float32 of {shape}"
            )
        if not np.isfinite(array).all():
            raise InvalidInputError(f"{path}: {name} holds NaN or infinity")
    if not (arrays["size"] > 0).all():
        raise InvalidInputError(f"{path}: size holds zero or negative numbers")
