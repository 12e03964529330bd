"""The loop of networks on vectors: mini-batches of rows in random order, small steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from train.predictors.base import Epoch
from train.predictors.loop import Callback, TrainingLoop

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


class Trainer(TrainingLoop):
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
        optimizer = torch.optim.Adam(
            network.parameters(), lr=learning_rate, eps=ADAM_EPSILON, fused=True
        )
        super().__init__(network, optimizer, max_epochs=max_epochs, callbacks=callbacks)
        self.batch_size = batch_size
        self.generator = generator
        self._rows: tuple[Batch, Batch] | None = None

    def fit(self, train: Batch, val: Batch) -> list[Epoch]:
        """Train on ``train``, with the error on ``val`` after each epoch; returns the history."""
        self._rows = train, val
        return self.run()

    def next_epoch(self) -> Epoch:
        """`run_epoch` on the rows of `fit`."""
        assert self._rows is not None
        return self.run_epoch(*self._rows)

    def run_epoch(self, train: Batch, val: Batch) -> Epoch:
        """One pass over the training rows in random order, then the validation error."""
        number = len(self.history) + 1
        order = torch.randperm(len(train), generator=self.generator)
        total = 0.0
        for rows in order.split(self.batch_size):
            batch = Batch(train.features[rows], train.targets[rows])
            total += self.train_step(batch) * len(batch)
        return Epoch(number, total / len(train), self.validate(val))

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

    def state(self) -> dict[str, Any]:
        """The loop's, and that of the generator that shuffles."""
        return super().state() | {"generator": self.generator.get_state()}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        super().resume(state)
        self.generator.set_state(state["generator"])


def predict(network: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Predictions of shape (n,), a few thousand rows at a time, without gradients."""
    with torch.no_grad():
        return torch.cat([network(rows) for rows in features.split(_ROWS_AT_ONCE)])
