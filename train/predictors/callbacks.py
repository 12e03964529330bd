"""What watches a training: divergence, best weights, early stopping, check-points, progress."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from featurestore.errors import InvalidInputError
from featurestore.output.progress import Progress
from featurestore.output.rows import atomic_path
from train.predictors.errors import TrainingError
from train.predictors.loop import Callback, TrainingLoop


class Diverged(Callback):
    """End a training whose error is no finite number; comes before what keeps a state.

    Parameters
    ----------
    advice : str
        What may help, as the end of the message.
    """

    def __init__(self, advice: str) -> None:
        self._advice = advice

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Look at both errors.

        Raises
        ------
        TrainingError
            If one is infinite or NaN.
        """
        last = loop.history[-1]
        if not (math.isfinite(last.train_mae) and math.isfinite(last.val_mae)):
            raise TrainingError(
                f"the training diverged in epoch {last.epoch}: the error is no longer a finite "
                f"number; {self._advice}"
            )


class BestWeights(Callback):
    """Keep the weights of the epoch with the lowest validation error, and end with them.

    The rule is Keras': only an error strictly below the best one so far counts.

    Attributes
    ----------
    best_epoch : int
        Number of that epoch, from 1.
    """

    def __init__(self) -> None:
        self._best_mae = math.inf
        self._weights: dict[str, torch.Tensor] = {}
        self.best_epoch = 0

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Copy the weights if they are the best so far."""
        last = loop.history[-1]
        if not last.val_mae < self._best_mae:
            return
        self._best_mae, self.best_epoch = last.val_mae, last.epoch
        weights = loop.weights()
        if not self._weights:
            self._weights = {k: v.detach().cpu().clone() for k, v in weights.items()}
        for name, value in weights.items():
            self._weights[name].copy_(value)

    def on_fit_end(self, loop: TrainingLoop) -> None:
        """Give the network its best weights back."""
        loop.take_up(self._weights)

    def state(self) -> dict[str, Any]:
        """The best epoch and its weights."""
        return {"best_epoch": self.best_epoch, "best": self._weights}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take up the best epoch and its weights."""
        self.best_epoch, self._weights = state["best_epoch"], state["best"]
        self._best_mae = state["history"][self.best_epoch - 1]["val_mae"]


class EarlyStopping(Callback):
    """Stop when the validation error has not fallen for ``patience`` epochs; comes after ``best``.

    Parameters
    ----------
    patience : int
        Epochs without a new best one.
    best : BestWeights
        A callback of the same training, which knows the best epoch.
    """

    def __init__(self, patience: int, best: BestWeights) -> None:
        self._patience, self._best = patience, best

    def on_fit_begin(self, loop: TrainingLoop) -> None:
        """See whether a training that goes on had stopped."""
        if loop.history:
            self.on_epoch_end(loop)

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """See whether it is time to stop."""
        loop.stopping = loop.history[-1].epoch - self._best.best_epoch >= self._patience


class Checkpoint(Callback):
    """Keep the state after each epoch in a file, from which a training goes on as if nothing was.

    It comes last but for the progress: what is kept is the state after all others.

    Parameters
    ----------
    path : Path
        The file; written atomically.
    identity : str
        Says which training it is; only a check-point of the same is gone on from.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self._identity = path, identity

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Write the file anew."""
        buffer = io.BytesIO()
        torch.save({"identity": self._identity} | loop.state(), buffer)
        with atomic_path(self.path) as path:
            path.write_bytes(buffer.getvalue())

    def resume_from_file(self, loop: TrainingLoop) -> None:
        """Let the training go on from the file, if it is there.

        Raises
        ------
        InvalidInputError
            If the file is unreadable, or of another training.
        """
        if not self.path.exists():
            return
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            identity = state["identity"]
        except Exception as error:  # whatever a damaged file makes the reader raise
            raise InvalidInputError(
                f"{self.path}: cannot be read as a check-point ({type(error).__name__}); delete it "
                "to train from the start"
            ) from error
        if identity != self._identity:
            raise InvalidInputError(
                f"{self.path}: is of a training with other settings or rows; delete it, or choose "
                "another folder"
            )
        loop.resume(state)


class ShowProgress(Callback):
    """Report each epoch to a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_fit_begin(self, loop: TrainingLoop) -> None:
        """Count the epochs that were done before an interruption."""
        if loop.history:
            self._progress.update(len(loop.history))

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Count one epoch."""
        self._progress.update()
