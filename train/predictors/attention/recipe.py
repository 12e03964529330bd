"""The recipe of fusion by attention, and the predictor that comes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from featurestore.errors import InvalidInputError
from featurestore.output.progress import Progress
from train.predictors.attention.network import AttentionNetwork, Segments
from train.predictors.base import Epoch, Examples, Fitted, OnVectors
from train.predictors.callbacks import BestWeights, Diverged, EarlyStopping, ShowProgress
from train.predictors.ensemble.settings import segments_of
from train.predictors.loop import Callback, TrainingLoop

Floats = npt.NDArray[np.float32]
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class AttentionPredictor(OnVectors):
    """Trained networks, whose mean is the prediction.

    Parameters
    ----------
    networks : tuple of AttentionNetwork
    centre, size : ndarray, shape (width,), float32
        By which features are standardised.
    mean, scale : float
        Of the targets.
    """

    networks: tuple[AttentionNetwork, ...]
    centre: Floats
    size: Floats
    mean: float
    scale: float

    @property
    def n_features(self) -> int:
        """Width of the features it takes."""
        return len(self.centre)

    @property
    def parts(self) -> list[str]:
        """The names of the parts it attends to."""
        return [name for name, _, _ in self.networks[0].segments]

    def predict(self, features: Floats) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), for features of shape (n, n_features)."""
        return self._both(features)[0]

    def attention(self, features: Floats) -> npt.NDArray[np.float64]:
        """What the prediction attended to: (n, parts), float64, rows of sum 1, means over members.

        A large weight says where the network looked, not what the prediction owes it (S. Jain and
        B. Wallace, "Attention is not explanation", NAACL 2019): `explain` measures that by erasing.
        """
        return self._both(features)[1]

    def _both(self, features: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        rows = torch.from_numpy((features - self.centre) / self.size)
        predictions = np.zeros(len(features))
        weights = np.zeros((len(features), len(self.networks[0].segments)))
        with torch.no_grad():
            for network in self.networks:
                for first in range(0, len(rows), _ROWS_AT_ONCE):
                    part = slice(first, first + _ROWS_AT_ONCE)
                    told, attended = network.both(rows[part])
                    predictions[part] += told.double().numpy() / len(self.networks)
                    weights[part] += attended.double().numpy() / len(self.networks)
        return self.mean + self.scale * predictions, weights

    def to_bytes(self) -> bytes:
        """All weights, in the safetensors format, with the names of the parts."""
        tensors = {
            f"{number}.{name}": value.contiguous()
            for number, network in enumerate(self.networks)
            for name, value in network.state_dict().items()
        }
        tensors["centre"] = torch.from_numpy(self.centre)
        tensors["size"] = torch.from_numpy(self.size)
        tensors["targets"] = torch.tensor([self.mean, self.scale], dtype=torch.float64)
        bounds = [[start, stop] for _, start, stop in self.networks[0].segments]
        tensors["bounds"] = torch.tensor(bounds, dtype=torch.int64)
        named = json.dumps(self.parts).encode()
        tensors["parts"] = torch.frombuffer(bytearray(named), dtype=torch.uint8)
        return bytes(save_tensors(tensors))

    @classmethod
    def from_bytes(cls, settings: Mapping[str, Any], weights: bytes) -> AttentionPredictor:
        """Restore a predictor from its safetensors bytes."""
        tensors = load_tensors(weights)
        names = json.loads(bytes(tensors["parts"].tolist()))
        bounds = tensors["bounds"].tolist()
        segments = [(str(n), int(a), int(b)) for n, (a, b) in zip(names, bounds, strict=True)]
        networks = []
        for number in range(settings["members"]):
            network = _network(settings, segments)
            prefix = f"{number}."
            state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            network.load_state_dict(state, strict=True)
            networks.append(network.eval())
        mean, scale = tensors["targets"].tolist()
        return cls(tuple(networks), tensors["centre"].numpy(), tensors["size"].numpy(), mean, scale)


@dataclass(frozen=True)
class Attention(OnVectors):
    """Networks that attend across the parts of the features, averaged.

    Inputs are standardised by column; the loss is the mean absolute error; AdamW with a cosine
    schedule; each member keeps the weights of its best epoch by the validation fold.

    Parameters
    ----------
    members : int
        Networks, of different initial weights and orders.
    width, layers, heads : int
        Of each network.
    dropout : float
        In training.
    max_epochs, patience, batch_size : int
        Most passes over the rows; passes without a lower validation error after which a member
        stops; rows of a step.
    learning_rate, weight_decay : float
        AdamW's.

    Raises
    ------
    InvalidInputError
        If the heads do not divide the width.
    """

    members: int = 4
    width: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    max_epochs: int = 100
    patience: int = 25
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2

    name: ClassVar[str] = "attention"

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InvalidInputError(
                f"{self.heads} heads do not divide a width of {self.width}: choose another"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters as JSON values."""
        return dict(vars(self))

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Train the members one after another.

        Parameters
        ----------
        train, val : Examples
            With segments; without, all columns are one part, and there is nothing to attend to.
        seed : int
            Of weights, dropout and order.
        progress : Progress
            Told of the first member's epochs.

        Raises
        ------
        TrainingError
            If a training diverges.
        """
        segments = segments_of(train)
        centre = train.features.mean(axis=0, dtype=np.float64).astype(np.float32)
        deviation = train.features.std(axis=0, dtype=np.float64)
        size = np.where(deviation > 1e-7, deviation, 1.0).astype(np.float32)
        mean = float(np.median(train.targets))
        scale = float(np.abs(train.targets - mean).mean()) or 1.0
        rows = [
            (
                torch.from_numpy((one.features - centre) / size),
                torch.tensor((one.targets - mean) / scale, dtype=torch.float32),
            )
            for one in (train, val)
        ]
        members = []
        with torch.random.fork_rng(devices=[]):
            for number in range(self.members):
                torch.manual_seed(seed * 1_000_003 + number)
                shown = [ShowProgress(progress)] if number == 0 else []
                member = _Member(self, _network(self.settings, segments), rows, scale, shown)
                member.run()
                members.append(member)
        predictor = AttentionPredictor(
            tuple(one.attending.eval() for one in members), centre, size, mean, scale
        )
        attended = predictor.attention(val.features).mean(axis=0)
        return Fitted(
            predictor=predictor,
            history=members[0].history,
            best_epoch=members[0].best.best_epoch,
            details={
                "attention": dict(zip(predictor.parts, map(float, attended), strict=True)),
                "best_epochs": [one.best.best_epoch for one in members],
            },
        )


def _network(settings: Mapping[str, Any], segments: Segments) -> AttentionNetwork:
    sizes = [settings[name] for name in ("width", "layers", "heads", "dropout")]
    return AttentionNetwork(segments, *sizes)


class _Member(TrainingLoop):
    """The training of one network; its errors are in the unit of the targets."""

    def __init__(
        self,
        recipe: Attention,
        network: AttentionNetwork,
        rows: Sequence[tuple[torch.Tensor, torch.Tensor]],
        scale: float,
        further: Sequence[Callback],
    ) -> None:
        self.recipe, self.attending, self._scale = recipe, network, scale
        (self._features, self._targets), self._val = rows
        self.best = BestWeights()
        super().__init__(
            network,
            torch.optim.AdamW(
                network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
            ),
            max_epochs=recipe.max_epochs,
            callbacks=[
                Diverged("look for outliers among the targets, or lower the learning rate"),
                self.best,
                EarlyStopping(recipe.patience, self.best),
                *further,
            ],
        )

    def next_epoch(self) -> Epoch:
        """One pass over the training rows in random order, then the validation error."""
        done = len(self.history) / self.max_epochs
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
        self.attending.train()
        total = 0.0
        for rows in torch.randperm(len(self._targets)).split(self.recipe.batch_size):
            errors = (self.attending(self._features[rows]) - self._targets[rows]).abs()
            self.optimizer.zero_grad(set_to_none=True)
            errors.mean().backward()
            self.optimizer.step()
            total += float(errors.detach().sum())
        self.attending.eval()
        features, targets = self._val
        with torch.no_grad():
            told = torch.cat([self.attending(part) for part in features.split(_ROWS_AT_ONCE)])
        val_mae = float((told - targets).abs().mean())
        train_mae = total / len(self._targets)
        return Epoch(len(self.history) + 1, self._scale * train_mae, self._scale * val_mae)
