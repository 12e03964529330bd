"""The Gaussian process and the networks of `train.predictors.ensemble`, for classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, joined
from train.predictors.classes.classifier import Arrays, Floats, Learned
from train.predictors.classes.probabilities import (
    best_temperature,
    log_loss,
    normalised,
    tempered,
    true_class_error,
)
from train.predictors.ensemble.gaussian_process import GaussianProcess
from train.predictors.ensemble.kernel import Tuned, squared_loss, tuned_kernel
from train.predictors.ensemble.networks import (
    Networks,
    cross_entropy,
    train_networks,
)
from train.predictors.ensemble.projection import Projection
from train.predictors.ensemble.settings import (
    SHARES,
    EnsembleSettings,
    random_rows,
    segments_of,
)
from train.predictors.errors import TrainingError
from train.predictors.uncertainty import FEWEST_ROWS

_NUMBERS = ("temperature_of_process", "temperature_of_networks", "share")


@dataclass(frozen=True)
class EnsembleOfClasses:
    """A Gaussian process and networks whose probabilities are averaged.

    Parameters
    ----------
    projection : Projection
        Of the features.
    process : GaussianProcess
        Of the classes' indicators (1 for the true class, else 0) less ``centre``, in ``spread``.
    centre : ndarray, shape (k,), float64
        How frequent the classes are.
    spread : float
        Standard deviation of the centred indicators.
    networks : Networks or None
        With an output for each class; None where their weight is zero.
    temperature_of_process, temperature_of_networks : float
        Of their probabilities; see `tempered`.
    share : float
        Weight of the process in the average, between 0 and 1.
    """

    projection: Projection = field(repr=False)
    process: GaussianProcess = field(repr=False)
    centre: Floats
    spread: float
    networks: Networks | None = field(repr=False)
    temperature_of_process: float
    temperature_of_networks: float
    share: float

    @property
    def n_features(self) -> int:
        """Width of the features."""
        return self.projection.n_features

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """Of the classes it saw, shape (n, k)."""
        process, networks = self.parts(features)
        return self.share * process + (1 - self.share) * networks

    def parts(self, features: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """Probabilities of the process and of the networks, each of shape (n, k).

        Where there are no networks, theirs are those of the process.
        """
        inputs = self.projection(features)
        process = normalised(self.process.mean(inputs) * self.spread + self.centre)
        process = tempered(process, self.temperature_of_process)
        if self.networks is None:
            return process, process
        networks = mean_softmax(self.networks.members(inputs))
        return process, tempered(networks, self.temperature_of_networks)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays."""
        parts = {
            "projection": self.projection.to_arrays(),
            "process": self.process.to_arrays(),
            "networks": {} if self.networks is None else self.networks.to_arrays(),
        }
        arrays = {f"{p}.{name}": value for p, of in parts.items() for name, value in of.items()}
        numbers = [self.spread, *(getattr(self, name) for name in _NUMBERS)]
        return arrays | {"centre": self.centre, "numbers": np.array(numbers, dtype=np.float64)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> EnsembleOfClasses:
        """Restore what `to_arrays` gave."""

        def part(prefix: str) -> dict[str, npt.NDArray[Any]]:
            start = f"{prefix}."
            return {n.removeprefix(start): v for n, v in arrays.items() if n.startswith(start)}

        spread, *numbers = map(float, arrays["numbers"])
        return cls(
            projection=Projection.from_arrays(part("projection")),
            process=GaussianProcess.from_arrays(part("process")),
            centre=arrays["centre"],
            spread=spread,
            networks=Networks.from_arrays(networks) if (networks := part("networks")) else None,
            **dict(zip(_NUMBERS, numbers, strict=True)),
        )


@dataclass(frozen=True)
class EnsembleForClasses(EnsembleSettings):
    """As `Ensemble`, for classes; the settings are the same.

    The process learns the classes' indicators by least squares, with the kernel that makes their
    leave-one-out squared error small (least-squares classification: Rasmussen and Williams,
    Gaussian Processes for Machine Learning, 2006, section 6.5), and the temperature of the lowest
    leave-one-out log loss. The networks are a deep ensemble on the log loss (Lakshminarayanan et
    al., NeurIPS 2017). In the rehearsal on the training rows the validation rows choose the
    networks' temperature, and the shares of both in the average, by the log loss; with these fixed,
    both parts learn from training and validation rows together; networks whose share is zero are
    not trained again.
    """

    def learn(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Learned:
        """Rehearse on ``train``, choose by ``val``, learn from both.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        generator = torch.Generator().manual_seed(seed)
        kernel, temperature = self._tuned(train, generator)
        held = val.targets.astype(np.int64)
        rehearsed, history = self._trained(
            train, kernel, (temperature, 1.0, 0.5), generator, progress, val
        )
        process, networks = rehearsed.parts(val.features)
        of_networks = best_temperature(networks, held) if len(val) >= FEWEST_ROWS else 1.0
        networks = tempered(networks, of_networks)
        losses = [log_loss(share * process + (1 - share) * networks, held) for share in SHARES]
        share = SHARES[int(np.argmin(losses))]
        chosen = (temperature, of_networks, share)
        rehearsed = EnsembleOfClasses(**vars(rehearsed) | dict(zip(_NUMBERS, chosen, strict=True)))
        trained = rehearsed
        if self.learn_from_val:
            rows = joined(train, val)
            trained, _ = self._trained(
                rows, kernel, chosen, generator, progress, networks=share < 1
            )
        details = {
            "temperature_of_process": temperature,
            "temperature_of_networks": of_networks,
            "share_of_process": share,
            "kernel_weights": {
                name: float(weight)
                for (name, *_), weight in zip(segments_of(train), kernel.weights, strict=True)
            },
            "nugget": kernel.nugget,
        }
        return Learned(trained, rehearsed, history, len(history), details)

    def _tuned(self, train: Examples, generator: torch.Generator) -> tuple[Tuned, float]:
        """The kernel, and the temperature of its leave-one-out probabilities."""
        chosen = random_rows(train, self.rows_to_tune, generator)
        projection = self.projection(train)
        targets = train.targets[chosen].astype(np.int64)
        indicators, centre, spread = _indicators(targets, train.n_classes)
        kernel = tuned_kernel(
            projection(train.features[chosen]),
            projection.slices,
            (indicators - centre) / spread,
            squared_loss,
        )
        return kernel, best_temperature(normalised(kernel.left_out * spread + centre), targets)

    def _trained(
        self,
        rows: Examples,
        kernel: Tuned,
        numbers: Sequence[float],
        generator: torch.Generator,
        progress: Progress,
        val: Examples | None = None,
        networks: bool = True,
    ) -> tuple[EnsembleOfClasses, list[Epoch]]:
        projection = self.projection(rows)
        inputs = projection(rows.features)
        targets = rows.targets.astype(np.int64)
        indicators, centre, spread = _indicators(targets, rows.n_classes)
        kept = random_rows(rows, self.rows_of_process, generator)
        process = GaussianProcess.fit(
            inputs[kept], (indicators[kept] - centre) / spread, kernel, projection.slices
        )
        sizes = kernel.sizes(projection.slices, self.kernel_power)
        history: list[Epoch] = []
        of_val = None if val is None else projection(val.features) * sizes

        def watch(epoch: int, networks: Networks, seen: Floats) -> None:
            error = other = true_class_error(mean_softmax(seen), targets)
            if val is not None and of_val is not None:
                told = mean_softmax(networks.members(of_val))
                other = true_class_error(told, val.targets.astype(np.int64))
            if not (math.isfinite(error) and math.isfinite(other)):
                raise TrainingError(
                    f"the training diverged in epoch {epoch}: the error is no longer a finite "
                    "number; look for outliers among the vectors"
                )
            history.append(Epoch(epoch, error, other))
            progress.update()

        trained = None
        if networks:
            trained = train_networks(
                inputs * sizes,
                np.tile(indicators, (self.members, 1, 1)),
                self.network_settings,
                generator,
                watch,
                cross_entropy,
            ).behind(sizes)
        else:
            progress.update(self.epochs)
        scorer = EnsembleOfClasses(
            projection=projection,
            process=process,
            centre=centre,
            spread=spread,
            networks=trained,
            **dict(zip(_NUMBERS, numbers, strict=True)),
        )
        return scorer, history


def mean_softmax(logits: Floats) -> Floats:
    """The mean over members of the softmax of (members, n, k), shape (n, k)."""
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=2).mean(axis=0))


def _indicators(targets: npt.NDArray[np.int64], k: int) -> tuple[Floats, Floats, float]:
    """Indicators (n, k), their means (k,), and the standard deviation about these."""
    indicators = np.eye(k)[targets]
    centre = indicators.mean(axis=0)
    return indicators, centre, float((indicators - centre).std()) or 1.0
