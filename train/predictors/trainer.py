"""Mini-batch gradient descent in small steps, with callbacks; the history is data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from train.predictors.base import Epoch
from train.predictors.errors import TrainingError

#: The epsilon of Keras' Adam, with which the paper's predictor was trained; PyTorch's is 1e-8.
ADAM_EPSILON = 1e-7

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Batch:
    """Features, float32 of shape (n, width), and targets, float32 of shape (n,)."""

    features: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)


class Callback:
    """Something that watches a training; override what is needed."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first epoch."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After each epoch; ``trainer.history[-1]`` is its record."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch."""


class Trainer:
    """Trains a network on the mean absolute error with Adam.

    Parameters
    ----------
    network : torch.nn.Module
        Maps features (n, width) to predictions (n,).
    learning_rate : float
        Adam's step size; its other constants are the defaults of Keras.
    batch_size : int
        Rows of a step; the last batch of an epoch holds what is left.
    max_epochs : int
        Passes over the training rows, unless a callback stops earlier.
    generator : torch.Generator
        Shuffles the rows before each epoch.
    callbacks : sequence of Callback
        Called in order.

    Attributes
    ----------
    history : list of Epoch
        One record for each epoch done.
    stopping : bool
        A callback sets it to end the training after the present epoch.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        *,
        learning_rate: float,
        batch_size: int,
        max_epochs: int,
        generator: torch.Generator,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.network = network
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.generator = generator
        self.callbacks = tuple(callbacks)
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=learning_rate, eps=ADAM_EPSILON, fused=True
        )
        self.history: list[Epoch] = []
        self.stopping = False

    def fit(self, train: Batch, val: Batch) -> list[Epoch]:
        """Train until ``max_epochs`` or until a callback stops; returns the history.

        Raises
        ------
        TrainingError
            If an error becomes infinite or NaN.
        """
        for callback in self.callbacks:
            callback.on_fit_begin(self)
        while not self.stopping and len(self.history) < self.max_epochs:
            self.history.append(self.run_epoch(train, val))
            for callback in self.callbacks:
                callback.on_epoch_end(self)
        for callback in self.callbacks:
            callback.on_fit_end(self)
        return self.history

    def run_epoch(self, train: Batch, val: Batch) -> Epoch:
        """One pass over the training rows in random order, then the validation error."""
        number = len(self.history) + 1
        order = torch.randperm(len(train), generator=self.generator)
        total = 0.0
        for rows in order.split(self.batch_size):
            batch = Batch(train.features[rows], train.targets[rows])
            total += self.train_step(batch) * len(batch)
        record = Epoch(number, total / len(train), self.validate(val))
        if not (math.isfinite(record.train_mae) and math.isfinite(record.val_mae)):
            raise TrainingError(
                f"the training diverged in epoch {number}: the error is no longer a finite "
                "number; look for outliers among the targets and the vectors"
            )
        return record

    def train_step(self, batch: Batch) -> float:
        """One step of the optimiser; returns the batch's loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.network(batch.features), batch.targets)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def loss(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean absolute error of a batch, a scalar."""
        return (predictions - targets).abs().mean()

    def validate(self, val: Batch) -> float:
        """The mean absolute error on the validation rows."""
        errors = predict(self.network, val.features).double() - val.targets.double()
        return errors.abs().mean().item()


def predict(network: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Predictions of shape (n,), a few thousand rows at a time, without gradients."""
    with torch.no_grad():
        return torch.cat([network(rows) for rows in features.split(_ROWS_AT_ONCE)])
