"""A trained ensemble: a Gaussian process and networks, their shares and their calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from train.predictors.base import OnVectors
from train.predictors.ensemble.gaussian_process import GaussianProcess
from train.predictors.ensemble.kernel import Floats
from train.predictors.ensemble.networks import Networks
from train.predictors.ensemble.projection import Projection
from train.predictors.ensemble.targets import TargetScale
from train.predictors.uncertainty import Calibration, Uncertainty

_SMALLEST_SCALE = 1e-9


@dataclass(frozen=True)
class EnsemblePredictor(OnVectors):
    """A Gaussian process and networks whose predictions are averaged.

    Parameters
    ----------
    projection : Projection
        Of the features.
    process : GaussianProcess
        The one part.
    process_targets : TargetScale
        On which it predicts.
    networks : Networks or None
        The other part; None where its weight is zero.
    network_targets : TargetScale
        On which they predict.
    share : float
        Weight of the process in the average, between 0 and 1.
    calibration : Calibration or None
        None if the validation rows were too few.
    """

    projection: Projection = field(repr=False)
    process: GaussianProcess = field(repr=False)
    process_targets: TargetScale
    networks: Networks | None = field(repr=False)
    network_targets: TargetScale
    share: float
    calibration: Calibration | None

    @property
    def n_features(self) -> int:
        """Width of the features it takes."""
        return self.projection.n_features

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), for features of shape (n, n_features)."""
        return blend(*self.parts(features), self.share)

    def parts(self, features: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Predictions of the process and of the networks, each float64 of shape (n,).

        Where there are no networks, theirs are those of the process.
        """
        inputs = self.projection(features)
        process = self.process_targets.in_unit(self.process.mean(inputs))
        if self.networks is None:
            return process, process
        return process, mean_in_unit(self.network_targets, self.networks.members(inputs))

    def uncertainty(self, features: npt.NDArray[np.float32]) -> Uncertainty | None:
        """The error to expect of each prediction; None if it could not be calibrated."""
        if self.calibration is None:
            return None
        return self.calibration(self.raw_scales(features))

    def raw_scales(self, features: npt.NDArray[np.float32]) -> Floats:
        """The process's standard deviation in the unit of the targets, before calibration."""
        inputs = self.projection(features)
        variances = self.process.variance(inputs)
        scale = self.process_targets
        scales = scale.std_in_unit(self.process.mean(inputs), np.sqrt(variances))
        return np.maximum(scales, _SMALLEST_SCALE * scale.spread)

    def to_bytes(self) -> bytes:
        """Everything learned, in the safetensors format."""
        parts = {
            "projection": self.projection.to_arrays(),
            "process": self.process.to_arrays(),
            "targets": self.process_targets.to_arrays(),
            "networks": {} if self.networks is None else self.networks.to_arrays(),
            "network_targets": self.network_targets.to_arrays(),
        }
        arrays = {
            f"{part}.{name}": np.ascontiguousarray(value)
            for part, values in parts.items()
            for name, value in values.items()
        }
        arrays["share"] = np.array([self.share])
        if self.calibration is not None:
            arrays["calibration"] = np.array(
                [self.calibration.std_factor, *self.calibration.factors]
            )
        return bytes(save_arrays(arrays))

    @classmethod
    def from_bytes(cls, settings: Mapping[str, Any], weights: bytes) -> EnsemblePredictor:
        """Restore a predictor from its safetensors bytes."""
        arrays = load_arrays(weights)

        def part(prefix: str) -> dict[str, npt.NDArray[Any]]:
            start = f"{prefix}."
            return {
                name.removeprefix(start): value
                for name, value in arrays.items()
                if name.startswith(start)
            }

        factors = arrays.get("calibration")
        # Older models have one scale for both parts.
        network_targets = part("network_targets") or part("targets")
        return cls(
            Projection.from_arrays(part("projection")),
            GaussianProcess.from_arrays(part("process")),
            TargetScale.from_arrays(part("targets")),
            Networks.from_arrays(networks) if (networks := part("networks")) else None,
            TargetScale.from_arrays(network_targets),
            float(arrays["share"][0]),
            None
            if factors is None
            else Calibration(float(factors[0]), tuple(map(float, factors[1:]))),
        )


def blend(process: Floats, networks: Floats, share: float) -> Floats:
    """The average of both predictions, the process having this share."""
    return share * process + (1 - share) * networks


def mean_in_unit(scale: TargetScale, members: Floats) -> Floats:
    """The mean over members, the first axis, of their predictions in the unit of the targets."""
    return np.asarray(scale.in_unit(members).mean(axis=0))
