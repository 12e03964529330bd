"""Standard deviations and 90 % intervals of forecasts, wider where the training materials are far.

Split conformal prediction with normalised residuals, as in `train.predictors.uncertainty`, on the
mean over seeds: a residual r of a validation material counts as |r| / s, and the interval is
prediction ± q s. The scale s is the predictor's own standard deviation, where it has one, times the
distance to the training materials raised to a power that the residuals choose (locally weighted
conformal prediction: Lei et al., J. Am. Stat. Assoc. 2018, 113, 1094, section 5.2; distances as
scale: Papadopoulos et al., J. Artif. Intell. Res. 2011, 40, 815). The power is one number that the
same rows have chosen, which makes the intervals slightly narrow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.predictors.uncertainty import STORED_LEVEL

Floats = npt.NDArray[np.float64]

#: Validation rows without which a 90 % interval has no finite end.
FEWEST_ROWS = math.ceil(STORED_LEVEL / (1 - STORED_LEVEL) - 1e-9)
#: Rows without which no power of the distance is chosen.
ROWS_FOR_POWER = 50
#: Signed errors that are kept, for the distribution of forecasts.
MOST_SCORES = 999
_POWERS = np.arange(0, 31) / 20  # 0 to 1.5
_SHORTEST = 0.1  # in usual distances: a copy of a training material has a finite logarithm

UNCALIBRATED = "uncalibrated"


@dataclass(frozen=True)
class Bounds:
    """What is said of the errors of forecasts.

    Parameters
    ----------
    std : ndarray, shape (n,), float64, or None
        Standard deviation of the error; None where nothing is known of it.
    half_width : ndarray, shape (n,), float64, or None
        Of the 90 % interval; None where it cannot be calibrated, or is not symmetric.
    calibration : str
        How, in a few words; it begins with "uncalibrated" where it is not.
    ends : tuple of ndarray, shape (n,), float64, or None
        Lower and upper ends of intervals that are not symmetric.
    """

    std: Floats | None
    half_width: Floats | None
    calibration: str
    ends: tuple[Floats, Floats] | None = None

    def interval(self, predictions: Floats) -> tuple[Floats, Floats] | None:
        """Lower and upper ends of the 90 % intervals of predictions, shape (n,); None for none.

        Ends that leave out the prediction itself, as CV+ may, are moved to it.
        """
        if self.ends is not None:
            lower, upper = self.ends
            return np.minimum(lower, predictions), np.maximum(upper, predictions)
        if self.half_width is None:
            return None
        return predictions - self.half_width, predictions + self.half_width


@dataclass(frozen=True)
class Calibration:
    """Factors of forecasts' scales.

    Parameters
    ----------
    n_rows : int
        Validation rows.
    own_scale : bool
        Whether the predictor's own standard deviations are part of the scale.
    power : float
        Of the distance.
    std_factor : float
        Root mean square of r / s; NaN without rows.
    factor : float
        The quantile of |r| / s; NaN where the rows are too few.
    scores : tuple of float
        The errors with their signs, (target - prediction) / s, ascending; of many, as many as
        `MOST_SCORES` at equal distances in rank.
    """

    n_rows: int
    own_scale: bool
    power: float
    std_factor: float
    factor: float
    scores: tuple[float, ...] = ()

    @classmethod
    def of(cls, residuals: Floats, stds: Floats | None, ratios: Floats | None) -> Calibration:
        """The calibration by validation rows.

        Parameters
        ----------
        residuals : ndarray, shape (n,), float64
            Prediction less target, of models that did not learn from these rows.
        stds : ndarray, shape (n,), float64, or None
            What the predictor says of them.
        ratios : ndarray, shape (n,), float64, or None
            Their distances to the training materials, see `train.forecasts.domain`.
        """
        n = len(residuals)
        scales = np.ones(n) if stds is None else stds
        power = 0.0
        if ratios is not None and n >= ROWS_FOR_POWER:
            power = _power(np.abs(residuals) / scales, ratios)
        signed = np.sort(-residuals / scaled(scales, ratios, power))
        errors = np.abs(signed)
        rank = math.ceil((n + 1) * STORED_LEVEL - 1e-9)
        return cls(
            n_rows=n,
            own_scale=stds is not None,
            power=power,
            std_factor=float(np.sqrt(np.mean(errors**2))) if n else math.nan,
            factor=float(np.sort(errors)[rank - 1]) if rank <= n else math.nan,
            scores=tuple(map(float, _thinned(signed))),
        )

    def __call__(self, n: int, stds: Floats | None, ratios: Floats | None) -> Bounds:
        """What is said of the errors of n forecasts; arguments as for `of`."""
        if self.own_scale and stds is None:
            return Bounds(None, None, f"{UNCALIBRATED}: the model gives no standard deviation")
        scales = stds if self.own_scale and stds is not None else np.ones(n)
        scales = scaled(scales, ratios, self.power)
        if not math.isfinite(self.factor):
            of = f"{self.n_rows} validation rows" if self.n_rows else "no validation rows"
            std = None if not self.n_rows else self.std_factor * scales
            return Bounds(std, None, f"{UNCALIBRATED}: {of}, {FEWEST_ROWS} needed")
        said = f"90 % by {self.n_rows:,} validation rows"
        if self.power:
            said += f", wider with distance^{self.power:.2f}"
        return Bounds(self.std_factor * scales, self.factor * scales, said)


def _thinned(ordered: Floats) -> Floats:
    """At most `MOST_SCORES` of ordered numbers, the k-th of m standing for the rank k/(m + 1)."""
    n = len(ordered)
    if n <= MOST_SCORES:
        return ordered
    shares = np.arange(1, MOST_SCORES + 1) / (MOST_SCORES + 1)
    return np.asarray(np.interp(shares, np.arange(1, n + 1) / (n + 1), ordered))


def scaled(scales: Floats, ratios: Floats | None, power: float) -> Floats:
    """Scales times the distances, each of shape (n,), raised to a power; None: as they are."""
    if ratios is None or not power:
        return scales
    return np.asarray(scales * np.maximum(ratios, _SHORTEST) ** power)


def _power(errors: Floats, ratios: Floats) -> float:
    """How the 90 % quantile of the errors grows with the distance: a power from 0 to 1.5.

    It is the slope of quantile regression (Koenker and Bassett, Econometrica 1978, 46, 33) of the
    errors' logarithms on those of the distances, at the level of the interval: what small errors
    do does not matter to it.
    """
    x = np.log(np.maximum(ratios, _SHORTEST))
    largest = errors.max()
    if not np.ptp(x) or not largest > 0:
        return 0.0
    y = np.log(np.maximum(errors, np.finfo(np.float64).tiny * largest))
    losses = []
    for power in _POWERS:
        left = y - power * x
        left = left - np.quantile(left, STORED_LEVEL)
        losses.append(float(np.mean(np.maximum(STORED_LEVEL * left, (STORED_LEVEL - 1) * left))))
    return float(_POWERS[int(np.argmin(losses))])
