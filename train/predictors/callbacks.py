"""What watches a training: early stopping with the best weights kept, and progress."""

from __future__ import annotations

import math

import torch

from featurestore.output.progress import Progress
from train.predictors.trainer import Callback, Trainer


class EarlyStopping(Callback):
    """Stop when the validation error has not fallen for ``patience`` epochs; keep the best weights.

    The rule is Keras': only an error strictly below the best one so far counts. The network has
    the weights of its best epoch at the end, also where the epochs ran out first.

    Attributes
    ----------
    best_epoch : int
        Number of the epoch with the lowest validation error, from 1.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._best_mae = math.inf
        self._best_weights: dict[str, torch.Tensor] = {}
        self.best_epoch = 0

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Copy the weights if they are the best so far, or see whether it is time to stop."""
        last = trainer.history[-1]
        weights = trainer.network.state_dict()
        if last.val_mae < self._best_mae:
            self._best_mae, self.best_epoch = last.val_mae, last.epoch
            if not self._best_weights:
                self._best_weights = {name: value.clone() for name, value in weights.items()}
            for name, value in weights.items():
                self._best_weights[name].copy_(value)
        trainer.stopping = last.epoch - self.best_epoch >= self._patience

    def on_fit_end(self, trainer: Trainer) -> None:
        """Give the network its best weights back."""
        trainer.network.load_state_dict(self._best_weights)


class ShowProgress(Callback):
    """Report each epoch to a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Count one epoch."""
        self._progress.update()
