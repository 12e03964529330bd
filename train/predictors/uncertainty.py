"""Standard deviations and intervals calibrated on the validation fold by conformal prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Nominal coverage of the intervals that are calibrated, and of the one that is stored.
LEVELS = (0.68, 0.90, 0.95)
STORED_LEVEL = 0.90

#: Validation rows without which the widest interval would have no finite end.
FEWEST_ROWS = math.ceil(1 / (1 - LEVELS[-1])) - 1
#: What is said of a predictor that has too few of them.
TOO_FEW_ROWS = (
    f"too few validation rows to calibrate intervals ({FEWEST_ROWS} are enough); where "
    "materials are few, all of them calibrate in: featurestore train final"
)


@dataclass(frozen=True)
class Uncertainty:
    """What is known of each prediction's error, in the unit of the property.

    Parameters
    ----------
    std : ndarray, shape (n,), float64
        Standard deviation of the error.
    half_widths : dict of float to ndarray, shape (n,), float64
        For each of ``LEVELS`` half the width of the interval around the prediction.
    """

    std: Floats
    half_widths: Mapping[float, Floats]

    def replaced(self, rows: npt.NDArray[np.bool_], others: Uncertainty) -> Uncertainty:
        """The same with the values of the chosen rows, shape (n,), being those of ``others``."""

        def merged(mine: Floats, theirs: Floats) -> Floats:
            values = mine.copy()
            values[rows] = theirs
            return values

        widths = {
            level: merged(width, others.half_widths[level])
            for level, width in self.half_widths.items()
        }
        return Uncertainty(merged(self.std, others.std), widths)


@dataclass(frozen=True)
class Calibration:
    """Factors that turn a predictor's raw error scale into standard deviations and intervals.

    Split conformal prediction with normalised residuals (Lei et al., J. Am. Stat. Assoc. 2018,
    113, 1094; Papadopoulos et al., 2002): with validation residuals r and raw scales u, the
    interval of level p is prediction ± q u, where q is the ⌈(n + 1) p⌉-th smallest |r|/u. If test
    materials come from where the validation materials come from, it holds the target with a
    probability of at least p, whatever the errors' distribution. The standard deviation is u times
    the root mean square of r/u. The validation fold has also chosen the blend, one number out of
    five, which makes the intervals slightly narrow.

    Parameters
    ----------
    std_factor : float
        Of the standard deviation.
    factors : tuple of float
        Of the intervals, in the order of ``LEVELS``.
    """

    std_factor: float
    factors: tuple[float, ...]

    @classmethod
    def of(cls, residuals: Floats, scales: Floats) -> Calibration | None:
        """The calibration by validation rows; None where they are too few (19 are enough)."""
        n = len(residuals)
        if n < FEWEST_ROWS:
            return None
        ratios = np.abs(residuals) / scales
        ordered = np.sort(ratios)
        ranks = [math.ceil((n + 1) * level - 1e-9) for level in LEVELS]
        return cls(
            float(np.sqrt(np.mean(ratios**2))), tuple(float(ordered[rank - 1]) for rank in ranks)
        )

    def __call__(self, scales: Floats) -> Uncertainty:
        """The uncertainty of rows with these raw scales."""
        widths = {
            level: factor * scales for level, factor in zip(LEVELS, self.factors, strict=True)
        }
        return Uncertainty(self.std_factor * scales, widths)


def coverage(
    errors: Floats, uncertainty: Uncertainty, rows: npt.NDArray[np.bool_]
) -> dict[str, float | None]:
    """Share of the chosen rows whose target is in the interval of each level; None without any.

    Parameters
    ----------
    errors : ndarray, shape (n,), float64
        Prediction less target.
    uncertainty : Uncertainty
        Of the same rows.
    rows : ndarray, shape (n,), bool
        The rows to count.
    """
    return {
        f"{level:.2f}": float(np.mean(np.abs(errors) <= width, where=rows)) if rows.any() else None
        for level, width in uncertainty.half_widths.items()
    }
