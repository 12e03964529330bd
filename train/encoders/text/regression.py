"""Trains a text model on the values of properties: masked mean absolute error, AdamW, in rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from featurestore.identity import canonical_json, sha256_hex
from ingest.encoders.bert.model import Transformer
from ingest.encoders.bert.tokens import Tokenizer, Tokens
from train.encoders.text.corpus import Corpus, Targets
from train.encoders.text.network import Learning, TextRegressor, choose_learning, padded
from train.encoders.text.rounds import Rounds, RoundSettings, products
from train.predictors.callbacks import BestWeights, Checkpoint, Diverged, EarlyStopping
from train.predictors.errors import TrainingError
from train.predictors.loop import Callback, TrainingLoop

# The head starts from nothing, the encoder does not.
_HEAD_FACTOR = 20.0
_TEXTS_AT_ONCE = 64
_FAR_OFF = 2.0


@dataclass(frozen=True, kw_only=True)
class TextTraining(RoundSettings):
    """Everything that decides how a text source model is trained; the rest as `RoundSettings`.

    Parameters
    ----------
    learning : Learning
        Which weights learn.
    learning_rate : float
        Of AdamW; the head's rate is twenty times as high.
    """

    learning: Learning = field(default_factory=Learning)
    learning_rate: float = 5e-5


class FarOff(Callback):
    """End a training whose errors, though finite, are far above those of a constant.

    Parameters
    ----------
    of_constant : float
        The validation error of the training texts' median.
    """

    def __init__(self, of_constant: float) -> None:
        self._limit = _FAR_OFF * of_constant

    def on_epoch_end(self, loop: TrainingLoop) -> None:
        """Look at the validation error.

        Raises
        ------
        TrainingError
            If it is more than twice that of a constant.
        """
        last = loop.history[-1]
        if last.val_mae > self._limit > 0:
            raise TrainingError(
                f"the training diverged in round {last.epoch}: the validation error is "
                f"{last.val_mae:.3g}, that of a constant {self._limit / _FAR_OFF:.3g}; take a "
                "lower --learning-rate"
            )


class TextTrainer(Rounds):
    """One training of a text source model, from its first round or from a check-point.

    The errors of its history are means over the texts and targets of the absolute error, each
    target in units of its mean absolute deviation from the median in the training texts.

    Parameters
    ----------
    settings : TextTraining
    corpus : Corpus
    transformer : Transformer
        What is trained; its module is changed.
    tokenizer : Tokenizer
        Its own, cutting at ``settings.max_tokens``.
    weights_sha256 : str
        Of the weights that it starts from.
    seed : int
        Of the order and the dropout.
    checkpoint : Path, optional
        File that holds the state after each round. If it is there, the training goes on from it
        and ends with the same weights as one without interruption.

    Raises
    ------
    InvalidInputError
        If the check-point is unreadable, or of another training; or as for `choose_learning`.
    """

    def __init__(
        self,
        settings: TextTraining,
        corpus: Corpus,
        transformer: Transformer,
        tokenizer: Tokenizer,
        weights_sha256: str,
        seed: int = 0,
        checkpoint: Path | None = None,
    ) -> None:
        self.settings, self.corpus, self.seed = settings, corpus, seed
        self.batch_size, self.passes = settings.batch_size, settings.passes
        self.texts_a_round = settings.texts_a_round
        self._pad = tokenizer.pad_id
        self.tokens = tokenizer([settings.numbers(text) for text in corpus.texts])
        self._train, self._val = corpus.rows("train"), corpus.rows("val")
        self.lengths = [len(self.tokens[row].ids) for row in self._train]
        of_train = corpus.targets[self._train]
        self.centre = np.nanmedian(of_train, axis=0)
        deviation = np.nanmean(np.abs(of_train - self.centre), axis=0)
        self.size = np.where(deviation > 0, deviation, 1.0)
        self._scaled = torch.tensor((corpus.targets - self.centre) / self.size, dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = choose_learning(transformer, settings.learning)
            width = transformer.architecture["hidden_size"]
            self.regressor = TextRegressor(encoder, width, corpus.targets.shape[1])
        self.regressor.to(settings.device)
        head = list(self.regressor.head.parameters())
        body = [p for p in self.regressor.encoder.parameters() if p.requires_grad]
        groups = [{"params": head}] + ([{"params": body}] if body else [])
        self.rates = [_HEAD_FACTOR * settings.learning_rate, settings.learning_rate][: len(groups)]
        self.best = BestWeights()
        self.of_constant = _mean_error(self._scaled[self._val])
        callbacks: list[Callback] = [
            Diverged("take a lower --learning-rate"),
            FarOff(self.of_constant),
            self.best,
            EarlyStopping(settings.patience, self.best),
        ]
        if checkpoint is not None:
            identity = self._identity(weights_sha256)
            callbacks.append(saved := Checkpoint(checkpoint, identity))
        super().__init__(
            self.regressor,
            torch.optim.AdamW(groups, lr=0.0, weight_decay=settings.weight_decay),
            max_epochs=settings.passes * self.rounds_a_pass,
            callbacks=callbacks,
        )
        if checkpoint is not None:
            saved.resume_from_file(self)

    def step(self, rows: Sequence[int]) -> float:
        """One step on some training texts; the sum of their errors before it."""
        mine = [self._train[row] for row in rows]
        errors = self._errors(mine)
        self.optimizer.zero_grad(set_to_none=True)
        mean = errors.nanmean()
        mean.backward()
        torch.nn.utils.clip_grad_norm_(self.regressor.parameters(), 1.0)
        self.optimizer.step()
        return float(mean.detach()) * len(rows)

    def validate(self) -> float:
        """The mean error over the validation texts and their properties."""
        return _mean_error(torch.cat([self._errors(part).cpu() for part in self._parts(self._val)]))

    def predictions(self, rows: Sequence[int]) -> Targets:
        """Predictions in the units of the targets, float64 of their shape."""
        found = np.empty((len(rows), self.corpus.targets.shape[1]))
        place = {row: number for number, row in enumerate(rows)}
        with torch.no_grad():
            for part in self._parts(rows):
                values = self._forward(part).double().cpu().numpy()
                found[[place[row] for row in part]] = values * self.size + self.centre
        return found

    def _parts(self, rows: Sequence[int]) -> list[list[int]]:
        """Rows in batches of like length."""
        order = sorted(rows, key=lambda row: (len(self.tokens[row].ids), row))
        return [order[i : i + _TEXTS_AT_ONCE] for i in range(0, len(order), _TEXTS_AT_ONCE)]

    def _forward(self, rows: Sequence[int]) -> torch.Tensor:
        chosen: list[Tokens] = [self.tokens[row] for row in rows]
        with products(self.settings.precision, self.settings.device):
            values: torch.Tensor = self.regressor(*padded(chosen, self._pad, self.settings.device))
        return values.float()

    def _errors(self, rows: Sequence[int]) -> torch.Tensor:
        """Absolute errors, NaN where a text lacks the target: (n, targets)."""
        targets = self._scaled[list(rows)].to(self.settings.device)
        known = ~targets.isnan()
        errors = (self._forward(rows) - targets.nan_to_num()).abs()
        # An error that is itself no number must not pass for a missing target.
        broken = errors.isnan() & known
        errors = errors.masked_fill(broken, torch.inf)
        return errors.masked_fill(~known, torch.nan)

    def _identity(self, weights_sha256: str) -> str:
        texts = "\n".join([*self.corpus.texts, *self.corpus.structure_ids])
        return canonical_json(
            {
                "settings": asdict(self.settings),
                "seed": self.seed,
                "weights": weights_sha256,
                "texts": sha256_hex(texts.encode()),
                "targets": sha256_hex(np.nan_to_num(self.corpus.targets, nan=-1e99).tobytes()),
                "folds": [len(self._train), len(self._val)],
            }
        )


def _mean_error(errors: torch.Tensor) -> float:
    """The mean of what is not NaN; NaN if nothing is."""
    return float(errors.abs().nanmean())
