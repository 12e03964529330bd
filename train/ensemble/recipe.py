"""The recipe: tune and solve the Gaussian process, train the networks, blend, calibrate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.errors import InvalidInputError
from featurestore.progress import Progress
from train.ensemble.gaussian_process import GaussianProcess
from train.ensemble.kernel import Floats, Tuned, tuned_kernel
from train.ensemble.networks import Networks, NetworkSettings, train_networks
from train.ensemble.projection import Projection
from train.ensemble.targets import TRANSFORMATIONS, TargetScale
from train.errors import TrainingError
from train.predictors import Examples, Fitted
from train.trainer import Epoch
from train.uncertainty import Calibration, Uncertainty

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_SMALLEST_SCALE = 1e-9


@dataclass(frozen=True)
class EnsemblePredictor:
    """A Gaussian process and networks whose predictions are averaged.

    Parameters
    ----------
    projection : Projection
        Of the features.
    targets : TargetScale
        On which both predict.
    process : GaussianProcess
        The one part.
    networks : Networks
        The other.
    share : float
        Weight of the process in the average, between 0 and 1.
    calibration : Calibration or None
        None if the validation rows were too few.
    """

    projection: Projection = field(repr=False)
    targets: TargetScale
    process: GaussianProcess = field(repr=False)
    networks: Networks = field(repr=False)
    share: float
    calibration: Calibration | None

    @property
    def n_features(self) -> int:
        """Width of the features it takes."""
        return self.projection.n_features

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), for features of shape (n, n_features)."""
        inputs = self.projection(features)
        process, networks = self._parts(inputs)
        return _blend(process, networks, self.share)

    def uncertainty(self, features: npt.NDArray[np.float32]) -> Uncertainty | None:
        """The error to expect of each prediction; None if it could not be calibrated."""
        if self.calibration is None:
            return None
        return self.calibration(self.raw_scales(features))

    def raw_scales(self, features: npt.NDArray[np.float32]) -> Floats:
        """The process's standard deviation in the unit of the targets, before calibration."""
        inputs = self.projection(features)
        variances = self.process.variance(inputs)
        scales = self.targets.std_in_unit(self.process.mean(inputs), np.sqrt(variances))
        return np.maximum(scales, _SMALLEST_SCALE * self.targets.spread)

    def _parts(self, inputs: Floats) -> tuple[Floats, Floats]:
        process = self.targets.in_unit(self.process.mean(inputs))
        return process, _in_unit(self.targets, self.networks.members(inputs))

    def to_bytes(self) -> bytes:
        """Everything learned, in the safetensors format."""
        parts = {
            "projection": self.projection.to_arrays(),
            "targets": self.targets.to_arrays(),
            "process": self.process.to_arrays(),
            "networks": self.networks.to_arrays(),
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
        """Restore a predictor from its safetensors bytes.

        Raises
        ------
        InvalidInputError
            If the bytes are no safetensors or lack an array.
        """
        try:
            arrays = load_arrays(weights)

            def part(prefix: str) -> dict[str, npt.NDArray[Any]]:
                start = f"{prefix}."
                return {
                    name.removeprefix(start): value
                    for name, value in arrays.items()
                    if name.startswith(start)
                }

            factors = arrays.get("calibration")
            return cls(
                Projection.from_arrays(part("projection")),
                TargetScale.from_arrays(part("targets")),
                GaussianProcess.from_arrays(part("process")),
                Networks.from_arrays(part("networks")),
                float(arrays["share"][0]),
                None
                if factors is None
                else Calibration(float(factors[0]), tuple(map(float, factors[1:]))),
            )
        except (SafetensorError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"the weights of an 'ensemble' model do not load: {error}"
            ) from error


@dataclass(frozen=True)
class Ensemble:
    """An exact Gaussian process and small networks, averaged.

    Each segment of the features is partly whitened; targets are learned as they are or as square
    roots, whichever gives the lower leave-one-out error; the process's kernel has a weight for each
    segment, so that a text that says nothing is switched off, and the networks' inputs are sized by
    the same weights. The process and the networks (a deep ensemble, Lakshminarayanan et al.,
    NeurIPS 2017) learn from the training rows alone. The validation rows decide their shares in the
    average, one of five, and calibrate the uncertainty.

    Parameters
    ----------
    members : int
        Networks.
    width : int
        Of their hidden layers.
    max_epochs : int
        Passes of the networks over the training rows; there is no early stopping.
    batch_size : int
        Rows of a step.
    learning_rate : float
        Of AdamW at its highest.
    weight_decay : float
        Of AdamW.
    rows_to_tune : int
        Random training rows by which kernel and transformation are chosen.
    rows_of_process : int
        Training rows that the process learns from; of more a random choice. It takes 8 bytes for
        each pair of them.
    kernel_power : float
        Power of the kernel's weights by which the networks' segments are sized; 0 leaves them
        alike.
    """

    members: int = 8
    width: int = 192
    max_epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    rows_to_tune: int = 1000
    rows_of_process: int = 25_000
    kernel_power: float = 1.0

    name: ClassVar[str] = "ensemble"

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters as JSON values."""
        return dict(vars(self))

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Train on ``train``; blend and calibrate by ``val``.

        Parameters
        ----------
        train, val : Examples
            With segments; without, all columns are one.
        seed : int
            Of the networks' weights, the shuffling and the random choices of rows.
        progress : Progress
            Told of each epoch of the networks.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(train), generator=generator).numpy()
        segments = train.segments or (("all", 0, train.features.shape[1]),)
        projection = Projection.of(train.features, segments)
        inputs = projection(train.features)
        chosen = np.sort(order[: self.rows_to_tune])
        scale, kernel = _tuned(inputs[chosen], train.targets[chosen], projection.slices)
        scale = TargetScale.of(train.targets, scale.transformation)
        targets = scale.scaled(train.targets)
        kept = np.sort(order[: self.rows_of_process])
        process = GaussianProcess.fit(inputs[kept], targets[kept], kernel, projection.slices)
        sizes = kernel.sizes(projection.slices, self.kernel_power)
        val_inputs = projection(val.features)
        networks, history = self._networks(
            inputs * sizes, train, val_inputs * sizes, val, scale, generator, progress
        )
        networks = networks.behind(sizes)
        uncalibrated = EnsemblePredictor(projection, scale, process, networks, 1.0, None)
        share = _best_share(*uncalibrated._parts(val_inputs), val.targets)
        blended = EnsemblePredictor(projection, scale, process, networks, share, None)
        calibration = Calibration.of(
            blended.predict(val.features) - val.targets, blended.raw_scales(val.features)
        )
        predictor = EnsemblePredictor(projection, scale, process, networks, share, calibration)
        details = {
            "transformation": scale.transformation,
            "share_of_process": share,
            "kernel_weights": {
                name: float(weight)
                for (name, *_), weight in zip(segments, kernel.weights, strict=True)
            },
            "nugget": kernel.nugget,
        }
        return Fitted(predictor, history, len(history), details)

    def _networks(
        self,
        inputs: Floats,
        train: Examples,
        val_inputs: Floats,
        val: Examples,
        scale: TargetScale,
        generator: torch.Generator,
        progress: Progress,
    ) -> tuple[Networks, list[Epoch]]:
        history: list[Epoch] = []

        def record(epoch: int, networks: Networks, seen: Floats) -> None:
            predictions = _in_unit(scale, networks.members(val_inputs))
            record = Epoch(
                epoch,
                float(np.abs(scale.in_unit(seen) - train.targets).mean()),
                float(np.abs(predictions - val.targets).mean()),
            )
            if not (math.isfinite(record.train_mae) and math.isfinite(record.val_mae)):
                raise TrainingError(
                    f"the training diverged in epoch {epoch}: the error is no longer a finite "
                    "number; look for outliers among the targets and the vectors"
                )
            history.append(record)
            progress.update()

        settings = NetworkSettings(
            self.members,
            self.width,
            self.max_epochs,
            self.batch_size,
            self.learning_rate,
            self.weight_decay,
        )
        targets = scale.scaled(train.targets)
        return train_networks(inputs, targets, settings, generator, record), history


def _tuned(inputs: Floats, targets: Floats, segments: Sequence[slice]) -> tuple[TargetScale, Tuned]:
    """The transformation with the lower leave-one-out error, and the kernel tuned with it."""
    candidates = []
    for name in TRANSFORMATIONS:
        scale = TargetScale.of(targets, name)
        kernel = tuned_kernel(inputs, segments, scale.scaled(targets))
        mae = float(np.abs(scale.in_unit(kernel.left_out) - targets).mean())
        candidates.append((mae, scale, kernel))
    _, scale, kernel = min(candidates, key=lambda found: np.nan_to_num(found[0], nan=np.inf))
    return scale, kernel


def _best_share(process: Floats, networks: Floats, targets: Floats) -> float:
    """The process's share in the average that has the lowest mean absolute error."""
    errors = [np.abs(_blend(process, networks, share) - targets).mean() for share in _SHARES]
    return _SHARES[int(np.argmin(errors))]


def _blend(process: Floats, networks: Floats, share: float) -> Floats:
    return share * process + (1 - share) * networks


def _in_unit(scale: TargetScale, members: Floats) -> Floats:
    """The members' mean in the unit of the targets, shape (n,)."""
    return np.asarray(scale.in_unit(members).mean(axis=0))
