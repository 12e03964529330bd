"""The paper's predictor: its network, loss, optimiser and stopping rule as one recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from featurestore.output.progress import Progress
from train.predictors.base import Examples, Fitted, OnVectors
from train.predictors.callbacks import BestWeights, Diverged, EarlyStopping, ShowProgress
from train.predictors.network import PAPER_WIDTHS, ResidualMLP
from train.predictors.trainer import Batch, Trainer, predict


@dataclass(frozen=True)
class MLPPredictor(OnVectors):
    """A trained `ResidualMLP`."""

    network: ResidualMLP

    @classmethod
    def from_bytes(cls, settings: Mapping[str, Any], weights: bytes) -> MLPPredictor:
        """Restore a predictor from its safetensors bytes."""
        tensors = load_tensors(weights)
        network = ResidualMLP(tensors["hidden.0.weight"].shape[1], settings["widths"])
        network.load_state_dict(tensors, strict=True)
        return cls(network.eval())

    @property
    def n_features(self) -> int:
        """Width of the features it takes."""
        return self.network.n_features

    def predict(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), for features of shape (n, n_features)."""
        return predict(self.network, torch.from_numpy(features)).double().numpy()

    def to_bytes(self) -> bytes:
        """The network's parameters, in the safetensors format."""
        return bytes(save_tensors(self.network.state_dict()))


@dataclass(frozen=True)
class MLP(OnVectors):
    """The recipe of Li et al., Digital Discovery 2025, 4, 376, for the fixed features.

    Adam on the mean absolute error, early stopping on the validation error, best weights restored;
    nothing is scaled, and the dropout of the original has no effect, so there is none here.

    Parameters
    ----------
    widths : tuple of int
        Hidden layers.
    learning_rate : float
        Of Adam.
    batch_size : int
        Rows of a step.
    max_epochs : int
        Most passes over the training rows.
    patience : int
        Epochs without a lower validation error after which training stops.
    """

    widths: tuple[int, ...] = PAPER_WIDTHS
    learning_rate: float = 1e-4
    batch_size: int = 32
    max_epochs: int = 2000
    patience: int = 100

    name: ClassVar[str] = "mlp"

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters as JSON values."""
        return {**vars(self), "widths": list(self.widths)}

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Train a network.

        Parameters
        ----------
        train, val : Examples
            Rows to learn from, and to stop by.
        seed : int
            Of the initial weights and the shuffling.
        progress : Progress
            Told of each epoch.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        generator = torch.Generator().manual_seed(seed)
        network = ResidualMLP(train.features.shape[1], self.widths, generator)
        best = BestWeights()
        trainer = Trainer(
            network,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            generator=generator,
            callbacks=[
                Diverged("look for outliers among the targets and the vectors"),
                best,
                EarlyStopping(self.patience, best),
                ShowProgress(progress),
            ],
        )
        history = trainer.fit(_batch(train), _batch(val))
        return Fitted(
            predictor=MLPPredictor(network.eval()), history=history, best_epoch=best.best_epoch
        )


def _batch(examples: Examples) -> Batch:
    targets = examples.targets.astype(np.float32)
    return Batch(torch.from_numpy(examples.features), torch.from_numpy(targets))
