"""Trains the two projections of a joint space on pairs, by the symmetric InfoNCE loss.

A. van den Oord et al., "Representation learning with contrastive predictive coding" (2018), in the
symmetric form of CLIP (A. Radford et al., ICML 2021): in each batch a structure's text is the class
to be told from the others', and the other way round.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from featurestore.identity import canonical_json, sha256_hex
from featurestore.output.progress import Progress
from ingest.encoders.aligned.head import Head
from train.encoders.alignment.pairs import Floats, Pairs
from train.predictors.base import Epoch
from train.predictors.callbacks import (
    BestWeights,
    Checkpoint,
    Diverged,
    EarlyStopping,
    ShowProgress,
)
from train.predictors.loop import Callback, TrainingLoop

# The logits' factor starts as CLIP's does, and is held below 100 as there.
_START, _LARGEST = 1 / 0.07, 100.0
_NEIGHBOURS_OF_A_ROW = 32


@dataclass(frozen=True)
class AlignmentTraining:
    """Everything that decides how a joint space is trained.

    Parameters
    ----------
    dimension, hidden : int
        Width of the space, and of the layer before it.
    epochs, patience : int
        Most passes over the pairs, and passes without a better one after which it stops.
    batch_size : int
        Pairs among which each is to be told.
    group_size : int
        Of a batch, how many pairs of like composition come together: its hard negatives. 1: none.
    learning_rate, weight_decay : float
        Of AdamW; the rate falls to zero by a cosine.
    dropout : float
        Share of the inputs and hidden values that are left out in training.
    """

    dimension: int = 256
    hidden: int = 512
    epochs: int = 60
    patience: int = 10
    batch_size: int = 512
    group_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.2


class Projection(nn.Module):
    """One side's layers; `Head` computes the same without torch."""

    def __init__(self, vectors: Floats, settings: AlignmentTraining) -> None:
        super().__init__()
        centre, size = vectors.mean(axis=0), vectors.std(axis=0)
        # A column that never varies says nothing, and must not divide by zero.
        size = np.where(size > 1e-6 * (np.abs(centre) + 1e-6), size, 1.0).astype(np.float32)
        self.register_buffer("centre", torch.from_numpy(centre))
        self.register_buffer("size", torch.from_numpy(size))
        self.first = nn.Linear(vectors.shape[1], settings.hidden)
        self.second = nn.Linear(settings.hidden, settings.dimension)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Directions of length 1, shape (n, dimension)."""
        assert isinstance(self.centre, torch.Tensor) and isinstance(self.size, torch.Tensor)
        x = self.dropout((vectors - self.centre) / self.size)
        h = self.dropout(nn.functional.silu(self.first(x)))
        return nn.functional.normalize(self.second(h), dim=1)

    def head(self) -> Head:
        """The projection as arrays."""

        def array(value: torch.Tensor) -> Floats:
            return np.ascontiguousarray(value.detach().numpy())

        assert isinstance(self.centre, torch.Tensor) and isinstance(self.size, torch.Tensor)
        return Head(
            centre=array(self.centre),
            size=array(self.size),
            first=array(self.first.weight.T),
            first_bias=array(self.first.bias),
            second=array(self.second.weight.T),
            second_bias=array(self.second.bias),
        )


class JointSpace(nn.Module):
    """Both projections and the factor of the logits."""

    def __init__(self, pairs: Pairs, settings: AlignmentTraining) -> None:
        super().__init__()
        train = pairs.rows("train")
        self.structure = Projection(pairs.structures[train], settings)
        self.text = Projection(pairs.texts[train], settings)
        self.log_factor = nn.Parameter(torch.tensor(math.log(_START)))

    def forward(self, structures: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n structures, n texts)."""
        factor = self.log_factor.exp().clamp(max=_LARGEST)
        logits: torch.Tensor = factor * (self.structure(structures) @ self.text(texts).T)
        return logits


class AlignmentTrainer(TrainingLoop):
    """One training of a joint space, from its first epoch or from a check-point.

    The errors of its epochs are the mean of 1 - p, where p is the probability that the model gives
    the true partner, both ways: in batches of training pairs, and among all validation pairs.

    Parameters
    ----------
    settings : AlignmentTraining
    pairs : Pairs
    seed : int
        Of the initial weights, the batches and the dropout.
    checkpoint : Path, optional
        As for `train.predictors.graph.trainer.GraphTrainer`.

    Raises
    ------
    InvalidInputError
        If the check-point is unreadable, or of another training.
    """

    def __init__(
        self, settings: AlignmentTraining, pairs: Pairs, seed: int, checkpoint: Path | None = None
    ) -> None:
        self.settings, self.pairs, self.seed = settings, pairs, seed
        self.best = BestWeights()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.space = JointSpace(pairs, settings)
        optimizer = torch.optim.AdamW(
            self.space.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        stopping = EarlyStopping(settings.patience, self.best)
        callbacks: list[Callback] = [Diverged("take a lower learning rate"), self.best, stopping]
        if checkpoint is not None:
            callbacks.append(saved := Checkpoint(checkpoint, self._identity()))
        super().__init__(self.space, optimizer, max_epochs=settings.epochs, callbacks=callbacks)
        self._train, self._val = pairs.rows("train"), pairs.rows("val")
        self._similar = similar_rows(pairs.compositions[self._train])
        self._structures = torch.from_numpy(pairs.structures)
        self._texts = torch.from_numpy(pairs.texts)
        numbers = {one: number for number, one in enumerate(dict.fromkeys(pairs.text_ids))}
        self._contents = torch.tensor([numbers[one] for one in pairs.text_ids])
        if checkpoint is not None:
            saved.resume_from_file(self)

    def fit(self, progress: Progress) -> JointSpace:
        """Train the epochs that are left; returns the space of the best one.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        self.callbacks = (*self.callbacks, ShowProgress(progress))
        with torch.random.fork_rng(devices=[]):
            self.run()
        return self.space.eval()

    def next_epoch(self) -> Epoch:
        """One pass over the training pairs, then the error among the validation pairs."""
        number = len(self.history) + 1
        # Everything random of an epoch follows from its number: it can be gone on from exactly.
        torch.manual_seed(self.seed * 1_000_003 + number)
        order = np.random.default_rng([self.seed, number])
        batches = grouped_batches(
            self._similar, self.settings.batch_size, self.settings.group_size, order
        )
        self.space.train()
        total = 0.0
        for step, batch in enumerate(batches):
            done = (number - 1 + step / len(batches)) / self.settings.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
            rows = torch.from_numpy(self._train[batch])
            loss, wrong = self._losses(rows)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += wrong * len(rows)
        self.space.eval()
        with torch.no_grad():
            _, val = self._losses(torch.from_numpy(self._val))
        return Epoch(number, total / len(self._train), val)

    def _losses(self, rows: torch.Tensor) -> tuple[torch.Tensor, float]:
        """The symmetric InfoNCE loss of some pairs, and the mean of 1 - p."""
        logits = self.space(self._structures[rows], self._texts[rows])
        contents = self._contents[rows]
        same = (contents[:, None] == contents[None, :]) & ~torch.eye(len(rows), dtype=torch.bool)
        # Another structure with the very same text is no negative.
        logits = logits.masked_fill(same, -torch.inf)
        ways = [torch.log_softmax(one, dim=1).diagonal() for one in (logits, logits.T)]
        loss = -(ways[0].mean() + ways[1].mean()) / 2
        wrong = 1 - (ways[0].detach().exp().mean() + ways[1].detach().exp().mean()) / 2
        return loss, float(wrong)

    def _identity(self) -> str:
        pairs = self.pairs
        return canonical_json(
            {
                "settings": asdict(self.settings),
                "seed": self.seed,
                "encoders": [pairs.structure_encoder.encoder_id, pairs.text_encoder.encoder_id],
                "texts": sha256_hex("\n".join(pairs.text_ids).encode()),
                "train": sha256_hex("\n".join(pairs.materials("train")).encode()),
            }
        )


def similar_rows(compositions: Floats) -> list[list[int]]:
    """For each row the rows of the most similar composition, nearest first."""
    found: list[list[int]] = []
    for start in range(0, len(compositions), 1024):
        scores = compositions[start : start + 1024] @ compositions.T
        k = min(_NEIGHBOURS_OF_A_ROW, scores.shape[1] - 1)
        near = np.argpartition(-scores, k, axis=1)[:, : k + 1]
        order = np.argsort(-np.take_along_axis(scores, near, 1), axis=1, kind="stable")
        for row, of_row in enumerate(np.take_along_axis(near, order, 1), start):
            found.append([int(one) for one in of_row if one != row])
    return found


def grouped_batches(
    similar: list[list[int]], batch_size: int, group_size: int, random: np.random.Generator
) -> list[list[int]]:
    """Rows in batches, each row once, groups of like composition together.

    Each group is a row that is drawn and the nearest that are still there; a last batch of a single
    row, which would have nothing to be told from, goes to the one before it.
    """
    used = np.zeros(len(similar), bool)
    order: list[int] = []
    for row in random.permutation(len(similar)):
        if used[row]:
            continue
        group = [int(row), *(one for one in similar[row] if not used[one])][:group_size]
        used[group] = True
        order += group
    batches = [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        last = batches.pop()
        batches[-1] += last
    return batches
