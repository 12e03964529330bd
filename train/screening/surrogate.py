"""A Gaussian process on few rows, fast enough to be trained hundreds of times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from train.predictors.ensemble.kernel import Tuned, matern, squared_distances
from train.predictors.ensemble.tuning import best_tuned
from train.screening.distribution import Distribution, NormalErrors

Floats = npt.NDArray[np.float64]


def predictive(
    inputs: Floats,
    segments: Sequence[slice],
    known: npt.NDArray[np.int64],
    targets: Floats,
    rest: npt.NDArray[np.int64],
) -> tuple[Distribution, Floats]:
    """What a process that learned from the known rows says of the rest.

    The kernel is the ensemble's, with a weight for each segment, and so is the choice between the
    targets and their signed square roots, by the leave-one-out error. Standard deviations are those
    of the process times the root mean square of the leave-one-out errors in units of theirs
    (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, eqs. 5.10-5.12).

    Parameters
    ----------
    inputs : ndarray, shape (n, width), float64
        Projected features of all rows.
    segments : sequence of slice
        Columns that share a weight.
    known : ndarray, shape (k,), int64
        Rows to learn from.
    targets : ndarray, shape (k,), float64
        Theirs.
    rest : ndarray, shape (m,), int64
        Rows to predict.

    Returns
    -------
    Distribution
        Of the m rows, on the scale that was learned: it rises with the target.
    ndarray, shape (k,), float64
        The targets on that scale.
    """
    kernel, scale = best_tuned(inputs[known], segments, targets)
    scaled = scale.scaled(targets)
    return _solved(inputs, segments, known, scaled, rest, kernel), scaled


def _solved(
    inputs: Floats,
    segments: Sequence[slice],
    known: npt.NDArray[np.int64],
    scaled: Floats,
    rest: npt.NDArray[np.int64],
    kernel: Tuned,
) -> Distribution:
    metric = np.empty(inputs.shape[1])
    for part, weight in zip(segments, kernel.weights, strict=True):
        metric[part] = np.sqrt(weight)
    learned, asked = inputs[known] * metric, inputs[rest] * metric
    covariance = matern(squared_distances(learned, learned))
    covariance[np.diag_indices(len(known))] = 1 + kernel.nugget
    inverse = np.linalg.inv(covariance)
    own = np.diagonal(inverse)
    left_out = (inverse @ scaled) / own
    factor = float(np.sqrt(np.mean(left_out**2 * own)))
    across = matern(squared_distances(asked, learned))
    explained = np.einsum("ij,jk,ik->i", across, inverse, across, optimize=True)
    variance = np.maximum(1 + kernel.nugget - explained, kernel.nugget)
    return Distribution(across @ inverse @ scaled, factor * np.sqrt(variance), NormalErrors())
