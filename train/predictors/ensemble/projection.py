"""Features as the principal components of each segment, at a common size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Projection:
    """An affine map for each segment; a training row's mean squared norm becomes 1 in each.

    Parameters
    ----------
    centre : ndarray, shape (width,), float32
        Mean of the training rows.
    matrices : tuple of ndarray, shape (width of the segment,) * 2, float32
        One for each segment, in order.
    """

    centre: npt.NDArray[np.float32] = field(repr=False)
    matrices: tuple[npt.NDArray[np.float32], ...] = field(repr=False)

    @classmethod
    def of(
        cls,
        features: npt.NDArray[np.float32],
        segments: Sequence[tuple[str, int, int]],
        column_power: float,
        component_power: float,
    ) -> Projection:
        """The projection for some training rows.

        Parameters
        ----------
        features : ndarray, shape (n, width), float32
            Training rows.
        segments : sequence of (str, int, int)
            Named slices that cover the width in order.
        column_power, component_power : float
            How far columns and then components are brought to one size: 0 not at all, 1 wholly
            (whitening).
        """
        centre = features.mean(axis=0, dtype=np.float64)
        matrices = []
        for _, start, stop in segments:
            block = features[:, start:stop] - centre[start:stop]
            spread = block.std(axis=0)
            typical = float(np.sqrt(np.mean(spread**2))) or 1.0
            divisor = np.maximum(spread, 1e-3 * typical) ** column_power
            block /= divisor
            values, vectors = np.linalg.eigh(block.T @ block / len(block))
            largest = float(values[-1]) or 1.0
            shrink = np.maximum(values, 1e-6 * largest) ** component_power
            matrix = vectors / shrink / divisor[:, None]
            norm = float(np.sqrt(np.sum(np.maximum(values, 0) / shrink**2))) or 1.0
            matrices.append((matrix / norm).astype(np.float32))
        return cls(centre.astype(np.float32), tuple(matrices))

    @property
    def n_features(self) -> int:
        """Width of the features."""
        return len(self.centre)

    @property
    def slices(self) -> list[slice]:
        """Where each segment stands."""
        stops = np.cumsum([len(matrix) for matrix in self.matrices]).tolist()
        return [slice(a, b) for a, b in zip([0, *stops[:-1]], stops, strict=True)]

    def __call__(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Projected rows, shape (n, width), float64."""
        parts = [
            (features[:, part] - self.centre[part]).astype(np.float64) @ matrix.astype(np.float64)
            for part, matrix in zip(self.slices, self.matrices, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays."""
        named = {f"matrix{i}": matrix for i, matrix in enumerate(self.matrices)}
        return {"centre": self.centre, **named}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Projection:
        """Restore what `to_arrays` gave."""
        matrices = tuple(arrays[f"matrix{i}"] for i in range(len(arrays) - 1))
        return cls(arrays["centre"], matrices)
