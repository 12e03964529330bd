"""The scale on which targets are learned: as they are, or their signed square roots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: The transformations that are tried: ``sqrt`` is sign(y)·sqrt(|y|).
TRANSFORMATIONS = ("identity", "sqrt")


@dataclass(frozen=True)
class TargetScale:
    """A transformation of the targets, then a shift and a division.

    Parameters
    ----------
    transformation : {"identity", "sqrt"}
        Square roots draw in the long upper tail of temperatures, gaps and efficiencies.
    centre, spread : float
        Mean and standard deviation of the transformed training targets; spread 1 where they do not
        vary.
    lowest, highest : float
        Range of the training targets, to which predictions are clipped.
    """

    transformation: str
    centre: float
    spread: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, targets: Floats, transformation: str) -> TargetScale:
        """The scale of some training targets, shape (n,)."""
        transformed = _transformed(targets, transformation)
        spread = float(transformed.std())
        return cls(
            transformation,
            float(transformed.mean()),
            spread if spread > 1e-12 * max(1.0, float(np.abs(transformed).max())) else 1.0,
            float(targets.min()),
            float(targets.max()),
        )

    def scaled(self, targets: Floats) -> Floats:
        """Targets in their unit to this scale."""
        return (_transformed(targets, self.transformation) - self.centre) / self.spread

    def in_unit(self, values: Floats) -> Floats:
        """Values on this scale back to the targets' unit, clipped to the training range."""
        values = values * self.spread + self.centre
        if self.transformation == "sqrt":
            values = np.sign(values) * values**2
        return np.clip(values, self.lowest, self.highest)

    def std_in_unit(self, means: Floats, stds: Floats) -> Floats:
        """Standard deviation in the targets' unit of normal variables on this scale.

        For a square of a normal variable with mean m and standard deviation s that is
        sqrt(4 m² s² + 2 s⁴), which stays positive where m is zero.
        """
        stds = stds * self.spread
        if self.transformation == "identity":
            return stds
        means = means * self.spread + self.centre
        return np.sqrt(4 * means**2 * stds**2 + 2 * stds**4)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays."""
        numbers = [self.centre, self.spread, self.lowest, self.highest]
        return {
            "transformation": np.array([TRANSFORMATIONS.index(self.transformation)]),
            "numbers": np.array(numbers, dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TargetScale:
        """Restore what `to_arrays` gave."""
        name = TRANSFORMATIONS[int(arrays["transformation"][0])]
        return cls(name, *map(float, arrays["numbers"]))


def _transformed(targets: Floats, transformation: str) -> Floats:
    return np.sign(targets) * np.sqrt(np.abs(targets)) if transformation == "sqrt" else targets
