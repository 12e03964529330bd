"""An exact Gaussian process; its training rows are kept as bytes, its variance is local."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from train.predictors.ensemble.kernel import Floats, Tuned, matern, squared_distances

_ROWS_AT_ONCE = 1024
_NEIGHBOURS = 32


@dataclass(frozen=True)
class GaussianProcess:
    """Mean and variance for projected rows, on the scale of the targets.

    Parameters
    ----------
    codes : ndarray, shape (n, width), int8
        The training rows in steps of ``steps``, each column's largest value being 127 of them.
    steps : ndarray, shape (width,), float32
        Size of a step; it holds the segments' weights.
    metric : ndarray, shape (width,), float32
        What projected rows are multiplied by: the root of their segment's weight.
    coefficients : ndarray, shape (n,) or (n, k), float64
        Of each training row's kernel function, for one or k targets.
    nugget : float
        Variance of the noise, in units of the kernel at distance zero.
    """

    codes: npt.NDArray[np.int8] = field(repr=False)
    steps: npt.NDArray[np.float32] = field(repr=False)
    metric: npt.NDArray[np.float32] = field(repr=False)
    coefficients: Floats = field(repr=False)
    nugget: float

    @classmethod
    def fit(
        cls, inputs: Floats, targets: Floats, kernel: Tuned, segments: list[slice]
    ) -> GaussianProcess:
        """Solve for the coefficients by a Cholesky factor of the n × n kernel matrix.

        It takes 8 n² bytes and n³/3 multiplications.

        Parameters
        ----------
        inputs : ndarray, shape (n, width), float64
            Projected training rows.
        targets : ndarray, shape (n,) or (n, k), float64
            On the scale the kernel was tuned on.
        """
        from scipy.linalg import cho_factor, cho_solve

        metric = np.empty(inputs.shape[1], dtype=np.float32)
        for part, weight in zip(segments, kernel.weights, strict=True):
            metric[part] = np.sqrt(weight)
        weighted = inputs * metric
        largest = np.abs(weighted).max(axis=0)
        steps = (np.where(largest > 0, largest, 1.0) / 127).astype(np.float32)
        codes = np.rint(weighted / steps).astype(np.int8)
        # The rows as they will be read back, so that what is solved is what is stored.
        rows = codes.astype(np.float64) * steps
        covariance = np.empty((len(rows), len(rows)))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            covariance[block] = matern(squared_distances(rows[block], rows))
        covariance[np.diag_indices(len(rows))] = 1 + kernel.nugget
        # The transpose of a symmetric matrix is in the order LAPACK overwrites without a copy.
        factor = cho_factor(covariance.T, lower=True, overwrite_a=True, check_finite=False)
        return cls(codes, steps, metric, cho_solve(factor, targets), kernel.nugget)

    def mean(self, inputs: Floats) -> Floats:
        """Predictions, shape (n,) or (n, k), for projected rows."""
        blocks = [covariance @ self.coefficients for _, covariance in self._covariances(inputs)]
        return np.concatenate([np.empty((0, *self.coefficients.shape[1:])), *blocks])

    def variance(self, inputs: Floats) -> Floats:
        """Variance of a measurement at projected rows, shape (n,), the kernel at zero being 1.

        Given the 32 nearest training rows alone: what others add beyond them is small (Datta et
        al., J. Am. Stat. Assoc. 2016, 111, 800), and no n × n factor need be kept.
        """
        rows = self._rows
        k = min(_NEIGHBOURS, len(rows))
        found = [np.empty(0)]
        for block, covariance in self._covariances(inputs):
            nearest = np.argpartition(-covariance, k - 1, axis=1)[:, :k]
            near = np.take_along_axis(covariance, nearest, axis=1)
            variances = np.empty(len(block))
            for i, (chosen, values) in enumerate(zip(nearest, near, strict=True)):
                among = matern(squared_distances(rows[chosen], rows[chosen]))
                among[np.diag_indices(k)] = 1 + self.nugget
                variances[i] = 1 + self.nugget - values @ np.linalg.solve(among, values)
            found.append(np.maximum(variances, self.nugget))
        return np.concatenate(found)

    @property
    def _rows(self) -> Floats:
        return self.codes.astype(np.float64) * self.steps

    def _covariances(self, inputs: Floats) -> Iterator[tuple[Floats, Floats]]:
        rows = self._rows
        for start in range(0, len(inputs), _ROWS_AT_ONCE):
            block = inputs[start : start + _ROWS_AT_ONCE] * self.metric
            yield block, matern(squared_distances(block, rows))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays."""
        return {**vars(self), "nugget": np.array([self.nugget])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> GaussianProcess:
        """Restore what `to_arrays` gave."""
        values: dict[str, Any] = {**arrays, "nugget": float(arrays["nugget"][0])}
        return cls(**values)
