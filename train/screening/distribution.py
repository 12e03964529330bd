"""Where true values may lie, given predictions: distributions from the errors of validation rows.

A split conformal predictive system (Vovk, Nouretdinov, Manokhin and Gammerman, Proc. Mach. Learn.
Res. 2018, 91, 37; Vovk, Petej, Nouretdinov, Manokhin and Gammerman, Neurocomputing 2020, 397, 292):
the signed errors of n validation materials in units of their scales, e = (target - prediction) / s,
are moved and stretched to a candidate, prediction + s e. Up to the k-th of them lies a probability
between (k - 1/2 ± 1/2) / (n + 1), which is calibrated, on average over candidates, if these come
from where the validation materials come from. The lines here run within these bounds; beyond the
outermost error no row says how its 1/(n + 1) is spread, and an exponential is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from train.forecasts.calibration import FEWEST_ROWS, Calibration
from train.screening.wants import Want

Floats = npt.NDArray[np.float64]

#: Share of the true values that the optimistic end of a prediction leaves beyond it.
BEYOND = 0.05
_LEAST_TAIL = 1e-12


class Standard(Protocol):
    """The distribution of errors in units of their scale."""

    def below(self, z: Floats) -> Floats:
        """The probability of a value below each z, of any shape."""
        ...

    def excess(self, z: Floats) -> Floats:
        """The mean of what values have above z, max(0, value - z), for each z."""
        ...

    def quantile(self, p: float) -> float:
        """The value below which lies a probability, between 0 and 1."""
        ...

    def mirrored(self) -> Standard:
        """The distribution of the errors with the other sign."""
        ...

    @property
    def resolution(self) -> float:
        """The least probability that is more than an assumption."""
        ...


@dataclass(frozen=True)
class NormalErrors:
    """A normal distribution with mean 0 and standard deviation 1."""

    def below(self, z: Floats) -> Floats:
        """The distribution function."""
        from scipy.special import ndtr

        return np.asarray(ndtr(z))

    def excess(self, z: Floats) -> Floats:
        """φ(z) - z (1 - Φ(z)): the expected improvement of Jones, Schonlau and Welch (1998)."""
        from scipy.special import ndtr

        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return np.maximum(density - z * ndtr(-z), 0.0)

    def quantile(self, p: float) -> float:
        """The inverse of the distribution function."""
        from scipy.special import ndtri

        return float(ndtri(p))

    def mirrored(self) -> NormalErrors:
        """The same."""
        return self

    @property
    def resolution(self) -> float:
        """0: all of it is assumed."""
        return 0.0


@dataclass(frozen=True, eq=False)
class ScoredErrors:
    """Lines between the errors of validation rows, and an exponential beyond the outermost.

    Parameters
    ----------
    scores : ndarray, shape (n,), float64
        Ascending, at least two.
    """

    scores: Floats = field(repr=False)

    @cached_property
    def _knots(self) -> tuple[Floats, Floats]:
        """The different scores, and the probability up to each; equal ones share their ranks."""
        values, counts = np.unique(self.scores, return_counts=True)
        last = np.cumsum(counts)
        return values, (last - (counts - 1) / 2) / (len(self.scores) + 1)

    @cached_property
    def _tails(self) -> tuple[float, float]:
        """Lengths of the exponentials: those of a Laplace distribution around the median."""
        values, shares = self._knots
        median = float(np.median(self.scores))
        found = []
        for end, share in ((values[0], shares[0]), (values[-1], 1 - shares[-1])):
            # two equal outermost scores of few may have a share near one half
            ratio = math.log(max(0.5 / share, 1.1))
            found.append(max(abs(float(end) - median) / ratio, _LEAST_TAIL))
        return found[0], found[1]

    def below(self, z: Floats) -> Floats:
        """The distribution function."""
        values, shares = self._knots
        left, right = self._tails
        found = np.interp(z, values, shares)
        lower = shares[0] * np.exp(np.minimum(z - values[0], 0) / left)
        upper = 1 - (1 - shares[-1]) * np.exp(np.minimum(values[-1] - z, 0) / right)
        return np.asarray(np.where(z < values[0], lower, np.where(z > values[-1], upper, found)))

    def excess(self, z: Floats) -> Floats:
        """The integral of one less the distribution function, from z on."""
        values, shares = self._knots
        left, right = self._tails
        rest = 1 - shares
        pieces = np.diff(values) * (rest[:-1] + rest[1:]) / 2
        # from each knot on
        whole = rest[-1] * right + np.concatenate([np.cumsum(pieces[::-1])[::-1], [0.0]])
        place = np.clip(np.searchsorted(values, z, side="left"), 0, len(values) - 1)
        part = (values[place] - z) * ((1 - self.below(z)) + rest[place]) / 2
        inside = whole[place] + part
        gap = np.maximum(values[0] - z, 0)
        lower = whole[0] + gap - shares[0] * left * (1 - np.exp(-gap / left))
        upper = rest[-1] * right * np.exp(np.minimum(values[-1] - z, 0) / right)
        return np.asarray(np.where(z < values[0], lower, np.where(z > values[-1], upper, inside)))

    def quantile(self, p: float) -> float:
        """The inverse of the distribution function."""
        values, shares = self._knots
        left, right = self._tails
        if p < shares[0]:
            return float(values[0] + left * math.log(p / shares[0]))
        if p > shares[-1]:
            return float(values[-1] - right * math.log((1 - p) / (1 - shares[-1])))
        return float(np.interp(p, shares, values))

    def mirrored(self) -> ScoredErrors:
        """The errors with the other sign."""
        return ScoredErrors(-self.scores[::-1])

    @property
    def resolution(self) -> float:
        """What lies beyond the outermost score: 1 / (n + 1)."""
        return 1 / (len(self.scores) + 1)


@dataclass(frozen=True, eq=False)
class Distribution:
    """Where the true values of n materials may lie.

    Parameters
    ----------
    centre : ndarray, shape (n,), float64
        Predictions, or known values.
    scale : ndarray, shape (n,), float64
        What errors are measured by; 0 for a known value.
    errors : Standard
        Their distribution.
    """

    centre: Floats = field(repr=False)
    scale: Floats = field(repr=False)
    errors: Standard = field(repr=False)

    @classmethod
    def of(cls, calibration: Calibration, predictions: Floats, stds: Floats) -> Distribution:
        """The distribution of forecasts with these values and standard deviations.

        With fewer than nine validation rows it is a normal one.
        """
        if len(calibration.scores) < FEWEST_ROWS or not calibration.std_factor:
            return cls(predictions, stds, NormalErrors())
        scores = np.array(calibration.scores)
        return cls(predictions, stds / calibration.std_factor, ScoredErrors(scores))

    def knowing(self, values: Floats) -> Distribution:
        """The same with the known ``values``, shape (n,), NaN for others, in predictions' place."""
        known = np.isfinite(values)
        return Distribution(
            np.where(known, values, self.centre), np.where(known, 0.0, self.scale), self.errors
        )

    def within(self, want: Want) -> Floats:
        """The probability that a window holds each value, shape (n,)."""
        found = np.ones(len(self.centre))
        if not math.isinf(want.high):
            found = self.errors.below(self._z(want.high))
        if not math.isinf(want.low):
            found = found - self.errors.below(self._z(want.low))
        found = np.clip(found, 0.0, 1.0)
        return np.where(self.scale > 0, found, want.holds(self.centre))

    def better(self, best: float, largest: bool) -> Floats:
        """The probability that each value is larger, or else smaller, than ``best``, shape (n,)."""
        below = self.errors.below(self._z(best))
        beyond = self.centre > best if largest else self.centre < best
        return np.where(self.scale > 0, 1 - below if largest else below, beyond)

    def improvement(self, best: float, largest: bool) -> Floats:
        """By how much each value is better than the best known one on average, shape (n,).

        It is the mean of max(0, value - best), or of max(0, best - value) where the smallest is
        wanted: Mockus' expected improvement (Jones, Schonlau and Welch, J. Glob. Optim. 1998, 13,
        455).
        """
        sign, errors = (1.0, self.errors) if largest else (-1.0, self.errors.mirrored())
        certain = np.maximum(sign * (self.centre - best), 0.0)
        expected = self.scale * errors.excess(sign * self._z(best))
        return np.where(self.scale > 0, expected, certain)

    def quantile(self, p: float) -> Floats:
        """The value below which each true value lies with a probability, shape (n,)."""
        return self.centre + self.scale * self.errors.quantile(p)

    def _z(self, value: float) -> Floats:
        scale = np.where(self.scale > 0, self.scale, 1.0)
        return np.asarray((value - self.centre) / scale)
