"""How sure an error on a few test materials is: bootstrap, sign-flip test, Holm's correction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
RESAMPLES = 10_000

_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A mean with the bounds of its interval; NaN where there is nothing to average."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """How much smaller the second of two errors is, on the same materials.

    Parameters
    ----------
    gain : Estimate
        Mean of the first minus the second: positive where the second is better.
    p : float
        Of the two-sided sign-flip test that the gain is zero.
    """

    gain: Estimate
    p: float


def bootstrap_means(values: npt.NDArray[np.float64], seed: int = 0) -> npt.NDArray[np.float64]:
    """Means over materials drawn with replacement.

    Parameters
    ----------
    values : ndarray, shape (n, k), float64
        k quantities of n materials; each draw is the same for all of them, so that differences
        between them are paired.
    seed : int
        Of the draws.

    Returns
    -------
    ndarray, shape (RESAMPLES, k), float64
    """
    return np.concatenate([counts @ values / len(values) for counts in draws(len(values), seed)])


def draws(n: int, seed: int = 0) -> Iterator[npt.NDArray[np.float64]]:
    """How often each of n materials is drawn: `RESAMPLES` rows of n, some thousands at a time."""
    generator = np.random.default_rng(seed)
    step = max(_DRAWS_AT_ONCE // n, 1)
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        drawn = generator.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        yield counts.astype(np.float64)


def interval(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Percentile bounds (Efron, 1981), shape (2, k), of bootstrap means of shape (RESAMPLES, k).

    A draw in which a quantity is NaN does not count for it.
    """
    tail = (1 - LEVEL) / 2
    return np.asarray(np.nanquantile(means, [tail, 1 - tail], axis=0))


def mean_estimates(values: npt.NDArray[np.float64]) -> list[Estimate]:
    """Mean and bootstrap interval of each column of values of shape (n, k)."""
    if not len(values):
        return [Estimate(np.nan, np.nan, np.nan)] * values.shape[1]
    low, high = interval(bootstrap_means(values))
    return [Estimate(*map(float, row)) for row in zip(values.mean(axis=0), low, high, strict=True)]


def paired_difference(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> PairedDifference:
    """Compare two errors of the same materials, arrays of shape (n,).

    The test flips the sign of each material's difference at random (Fisher, 1935; Good,
    Permutation, Parametric and Bootstrap Tests, 2005). It tests the mean difference, which is the
    difference of the two MAE that is reported; Wilcoxon's test would test the ranks, which a few
    large errors do not move. With `RESAMPLES` flips the least p is about 1e-4.
    """
    differences = first - second
    (gain,) = mean_estimates(differences[:, None])
    return PairedDifference(gain, _sign_flip_p(differences))


def _sign_flip_p(differences: npt.NDArray[np.float64], seed: int = 0) -> float:
    n = len(differences)
    if not n:
        return float("nan")
    generator = np.random.default_rng(seed)
    observed = abs(differences.sum())
    # Sums of the same numbers in another order differ by rounding.
    tolerance = 1e-12 * np.abs(differences).sum()
    as_large = 0
    step = max(_DRAWS_AT_ONCE // n, 1)
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        positive = generator.integers(0, 2, size=(rows, n), dtype=np.int8)
        sums = 2 * (positive.astype(np.float64) @ differences) - differences.sum()
        as_large += int(np.count_nonzero(np.abs(sums) >= observed - tolerance))
    return (1 + as_large) / (1 + RESAMPLES)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm, Scandinavian J. of Statistics 6, 65, 1979).

    Below 0.05 after it, the chance of even one false finding among all is at most 0.05. NaN, the
    p of a comparison without materials, stays NaN and does not count.
    """
    given = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(len(given), np.nan)
    order = [int(i) for i in np.argsort(given, kind="stable") if not np.isnan(given[i])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min((len(order) - rank) * given[index], 1.0))
        corrected[index] = largest
    return [float(p) for p in corrected]
