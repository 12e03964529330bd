"""The training loop: epochs one after another, watched by callbacks; the history is data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from train.predictors.base import Epoch


class Callback:
    """Something that watches a training; override what is needed."""

    def on_fit_begin(self, loop: TrainingLoop) -> None:
        """Before the first epoch, or the first one after an interruption."""

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """After each epoch; ``loop.history[-1]`` is its record."""

    def on_fit_end(self, loop: TrainingLoop) -> None:
        """After the last epoch."""

    def state(self) -> dict[str, Any]:
        """What the callback must know again to go on after an interruption, for a check-point."""
        return {}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave; the mapping holds other things beside it."""


class TrainingLoop(ABC):
    """Trains a network an epoch at a time; subclasses say what an epoch is.

    Parameters
    ----------
    network : torch.nn.Module
        What is trained.
    optimizer : torch.optim.Optimizer
        Of its parameters.
    max_epochs : int
        Passes over the training rows, unless a callback stops earlier.
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
        optimizer: torch.optim.Optimizer,
        *,
        max_epochs: int,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.max_epochs = max_epochs
        self.callbacks = tuple(callbacks)
        self.history: list[Epoch] = []
        self.stopping = False

    @abstractmethod
    def next_epoch(self) -> Epoch:
        """One pass over the training rows, then the validation error."""

    def run(self) -> list[Epoch]:
        """Train until ``max_epochs`` or until a callback stops; returns the history."""
        for callback in self.callbacks:
            callback.on_fit_begin(self)
        while not self.stopping and len(self.history) < self.max_epochs:
            self.history.append(self.next_epoch())
            for callback in self.callbacks:
                callback.on_epoch_end(self)
        for callback in self.callbacks:
            callback.on_fit_end(self)
        return self.history

    def weights(self) -> dict[str, torch.Tensor]:
        """The network's weights by name; they share its memory."""
        return dict(self.network.state_dict())

    def take_up(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Give the network weights that `weights` gave."""
        self.network.load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on, and the callbacks' own, for a check-point."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [vars(epoch) for epoch in self.history],
        }
        for callback in self.callbacks:
            state |= callback.state()
        return state

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, in another process too."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        for callback in self.callbacks:
            callback.resume(state)
