"""Trains `AlignnRegressor`: large steps in parts over all cores, check-points, exact resumption.

Method: AdamW with a one-cycle schedule, as ALIGNN is trained by its authors, here on the mean
absolute error of standardised targets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from featurestore.identity import canonical_json
from featurestore.output.progress import Progress
from ingest.encoders.alignn.graph import GraphSettings
from ingest.encoders.alignn.model import Architecture
from ingest.encoders.parallel import all_cores
from train.predictors.base import Epoch
from train.predictors.callbacks import BestWeights, Checkpoint, Diverged, ShowProgress
from train.predictors.graph.examples import GraphExample, collated, parts, shuffled
from train.predictors.graph.network import AlignnRegressor
from train.predictors.loop import Callback, TrainingLoop

_WARM_UP = 0.3
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4

Targets = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GraphTraining:
    """Everything that decides how a graph network is trained.

    Parameters
    ----------
    alignn_layers, gcn_layers, hidden_features : int
        The paper's source model has 4, 4 and 256.
    epochs, batch_size : int
        Passes over the training rows, and crystals in a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate is the highest of the one-cycle schedule.
    use_canonize : bool
        As for `GraphSettings`.
    precision : {"float32", "bfloat16"}
        Of matrix products.
    device : str
        "cpu" or "cuda".
    """

    alignn_layers: int = 4
    gcn_layers: int = 4
    hidden_features: int = 256
    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    use_canonize: bool = True
    precision: str = "float32"
    device: str = "cpu"

    @property
    def reference(self) -> GraphTraining:
        """The same in float32 on the CPU, as results are stated."""
        return replace(self, device="cpu", precision="float32")

    @property
    def architecture(self) -> Architecture:
        """The network, with the published sizes of its inputs."""
        return Architecture(
            norm="layernorm",
            alignn_layers=self.alignn_layers,
            gcn_layers=self.gcn_layers,
            atom_input_features=92,
            edge_input_features=80,
            triplet_input_features=40,
            embedding_features=min(64, self.hidden_features),
            hidden_features=self.hidden_features,
        )

    @property
    def graph(self) -> GraphSettings:
        """How crystals become graphs."""
        return GraphSettings(use_canonize=self.use_canonize)


@dataclass(frozen=True)
class GraphRows:
    """Graphs and their targets, float64 of shape (n,)."""

    examples: Sequence[GraphExample]
    targets: Targets

    def __len__(self) -> int:
        return len(self.examples)


class GraphTrainer(TrainingLoop):
    """One training, from its first epoch or from a check-point.

    Parameters
    ----------
    settings : GraphTraining
    train, val : GraphRows
        Rows to learn from, and by whose error the best epoch is chosen.
    seed : int
        Of the initial weights and the order of the rows.
    checkpoint : Path, optional
        File that holds the state after each epoch. If it is there, the training goes on from it
        and ends with the same weights as one without interruption.

    Raises
    ------
    InvalidInputError
        If the check-point is unreadable, or of another training.
    """

    def __init__(
        self,
        settings: GraphTraining,
        train: GraphRows,
        val: GraphRows,
        seed: int,
        checkpoint: Path | None = None,
    ) -> None:
        self.settings = settings
        self.train, self.val, self.seed = train, val, seed
        self._mean = float(train.targets.mean())
        self._scale = float(np.abs(train.targets - np.median(train.targets)).mean()) or 1.0
        self._regressor = AlignnRegressor(settings.architecture, seed).to(settings.device)
        self._parameters = list(self._regressor.parameters())
        optimizer = torch.optim.AdamW(
            self._parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._best = BestWeights()
        callbacks: list[Callback] = [Diverged("a lower learning rate may help"), self._best]
        if checkpoint is not None:
            callbacks.append(saved := Checkpoint(checkpoint, self._identity()))
        super().__init__(
            self._regressor, optimizer, max_epochs=settings.epochs, callbacks=callbacks
        )
        self._pool: ThreadPoolExecutor | None = None
        if checkpoint is not None:
            saved.resume_from_file(self)

    @property
    def best_epoch(self) -> int:
        """Number of the epoch with the lowest validation error so far, from 1."""
        return self._best.best_epoch

    def fit(self, progress: Progress) -> AlignnRegressor:
        """Train the epochs that are left; returns the network of the best one, in target units.

        Raises
        ------
        TrainingError
            If an error becomes infinite or NaN.
        """
        self.callbacks += (ShowProgress(progress),)
        with _cores(self.settings) as self._pool:
            self.run()
        return self._in_target_units()

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights under the names of published checkpoints."""
        return self._regressor.checkpoint_state()

    def take_up(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Give the network weights of these names."""
        self._regressor.load_checkpoint_state(dict(weights))

    def _in_target_units(self) -> AlignnRegressor:
        """The best epoch's network, whose last layer undoes the standardisation."""
        network = AlignnRegressor(self.settings.architecture)
        network.load_checkpoint_state(self.weights())
        with torch.no_grad():
            network.fc.weight.mul_(self._scale)
            network.fc.bias.mul_(self._scale).add_(self._mean)
        return network.eval()

    def next_epoch(self) -> Epoch:
        """One pass over the training rows in the order of this epoch, then the validation error."""
        assert self._pool is not None
        number = len(self.history) + 1
        order = shuffled(len(self.train), self.seed, number)
        size = self.settings.batch_size
        steps = [order[first : first + size] for first in range(0, len(order), size)]
        total = 0.0
        for step, rows in enumerate(steps):
            self._set_rate((len(self.history) + step / len(steps)) / self.settings.epochs)
            total += self._step(self._pool, rows)
        errors = self._scale * total / len(self.train)
        predicted = _predicted(self._regressor, self.val.examples, self.settings, self._pool)
        val_mae = np.abs(predicted * self._scale + self._mean - self.val.targets).mean()
        return Epoch(number, errors, float(val_mae))

    def _step(self, pool: ThreadPoolExecutor, rows: list[int]) -> float:
        """One step of the optimiser; returns the sum of the scaled errors before it."""

        def gradients(part: list[int]) -> tuple[float, tuple[torch.Tensor | None, ...]]:
            batch = collated([self.train.examples[row] for row in part], self.settings.device)
            scaled = (self.train.targets[part] - self._mean) / self._scale
            targets = torch.tensor(scaled, dtype=torch.float32, device=self.settings.device)
            with _products(self.settings):
                errors = (self._regressor(batch).float() - targets).abs().sum()
            # The last layers also renew edges that nothing reads: their norms have no gradient.
            return float(errors.detach()), torch.autograd.grad(
                errors, self._parameters, allow_unused=True
            )

        # In the order of the parts whatever the order they end in: sums repeat to the last bit.
        results = list(pool.map(gradients, parts(rows, self.train.examples)))
        for position, parameter in enumerate(self._parameters):
            gradient = [g for _, found in results if (g := found[position]) is not None]
            parameter.grad = reduce(torch.add, gradient) / len(rows) if gradient else None
        self.optimizer.step()
        return sum(errors for errors, _ in results)

    def _set_rate(self, done: float) -> None:
        """The one-cycle schedule at a share ``done`` of the training: up, then down, by cosines."""
        high = self.settings.learning_rate
        if done < _WARM_UP:
            start, stop, share = high / _START_DIVISOR, high, done / _WARM_UP
        else:
            start, stop = high, high / _START_DIVISOR / _END_DIVISOR
            share = (done - _WARM_UP) / (1 - _WARM_UP)
        rate = stop + (start - stop) * (1 + math.cos(math.pi * share)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _identity(self) -> str:
        """What a check-point must have been made with to be gone on from."""
        return canonical_json(
            {
                "settings": asdict(self.settings),
                "seed": self.seed,
                "rows": [len(self.train), len(self.val)],
                "targets": [float(self.train.targets.sum()), float(self.val.targets.sum())],
            }
        )


def predict(
    network: AlignnRegressor, examples: Sequence[GraphExample], settings: GraphTraining
) -> Targets:
    """Predictions in the network's own units, float64 of shape (n,)."""
    with _cores(settings) as pool:
        return _predicted(network, examples, settings, pool)


def _predicted(
    network: AlignnRegressor,
    examples: Sequence[GraphExample],
    settings: GraphTraining,
    pool: ThreadPoolExecutor,
) -> Targets:
    def of_part(part: list[int]) -> Targets:
        with torch.no_grad(), _products(settings):
            values = network(collated([examples[row] for row in part], settings.device))
            return np.asarray(values.double().cpu().numpy())

    found = list(pool.map(of_part, parts(range(len(examples)), examples)))
    return np.concatenate(found) if found else np.empty(0)


def _cores(settings: GraphTraining) -> AbstractContextManager[ThreadPoolExecutor]:
    """Threads that work on parts of a step: one for each core, or the one that feeds a GPU."""
    if settings.device == "cpu":
        return all_cores(bfloat16_products=settings.precision == "bfloat16")
    return ThreadPoolExecutor(1)


def _products(settings: GraphTraining) -> AbstractContextManager[Any]:
    if settings.precision == "float32" or settings.device == "cpu":
        return nullcontext()
    return torch.autocast(settings.device, dtype=torch.bfloat16)
