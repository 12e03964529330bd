"""Trains a text model to tell masked tokens (J. Devlin et al., BERT, NAACL 2019), in rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from featurestore.identity import canonical_json, sha256_hex
from ingest.encoders.bert.model import Transformer
from ingest.encoders.bert.tokens import Tokenizer, Tokens
from train.encoders.text.network import padded
from train.encoders.text.rounds import Rounds, RoundSettings, products
from train.predictors.callbacks import BestWeights, Checkpoint, Diverged, EarlyStopping
from train.predictors.loop import Callback

_MASKED, _AS_MASK, _AS_RANDOM = 0.15, 0.8, 0.1
_TEXTS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class MaskedTraining(RoundSettings):
    """Everything that decides how a language model is trained; fields as in `RoundSettings`."""

    learning_rate: float = 5e-4


class MaskedModel(nn.Module):
    """A BERT with the head that tells tokens; its last layer is the embedding of the words."""

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        width = transformer.architecture["hidden_size"]
        self.encoder = transformer.module
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(transformer.architecture["vocab_size"]))

    def forward(
        self, ids: torch.Tensor, present: torch.Tensor, asked: torch.Tensor
    ) -> torch.Tensor:
        """Logits (asked tokens, vocabulary), where ``asked``, bool as ``ids`` are wide, is true."""
        hidden = self.encoder(input_ids=ids, attention_mask=present).last_hidden_state[asked]
        told = self.norm(nn.functional.gelu(self.dense(hidden)))
        encoder: object = self.encoder
        words = encoder.embeddings.word_embeddings.weight  # type: ignore[attr-defined]
        logits: torch.Tensor = nn.functional.linear(told, words, self.bias)
        return logits


class MaskedTrainer(Rounds):
    """One training of a language model, from its first round or from a check-point.

    The errors of its history are means over the masked tokens of 1 - p, where p is the probability
    that the model gives the true one. Those of the validation texts are masked alike each time.

    Parameters
    ----------
    settings : MaskedTraining
    train, val : sequence of str
        Texts to learn from, and to judge by.
    transformer, tokenizer
        What is trained, and its own tokenizer.
    origin : str
        What it starts from, for the identity of a check-point.
    seed : int
        Of masks, order and dropout.
    checkpoint : Path, optional
        As for `TextTrainer`.

    Raises
    ------
    InvalidInputError
        If the check-point is unreadable or of another training, or the tokenizer has no mask.
    """

    def __init__(
        self,
        settings: MaskedTraining,
        train: Sequence[str],
        val: Sequence[str],
        transformer: Transformer,
        tokenizer: Tokenizer,
        origin: str,
        seed: int = 0,
        checkpoint: Path | None = None,
    ) -> None:
        self.settings, self.seed = settings, seed
        self.batch_size, self.passes = settings.batch_size, settings.passes
        self.texts_a_round = settings.texts_a_round
        self._pad, self._mask = tokenizer.pad_id, tokenizer.mask_id
        self._vocabulary = tokenizer.vocabulary_size
        self._train = tokenizer([settings.numbers(text) for text in train])
        self._val = tokenizer([settings.numbers(text) for text in val])
        self.lengths = [len(one.ids) for one in self._train]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = MaskedModel(transformer).to(settings.device)
        self.rates = [settings.learning_rate]
        self.best = BestWeights()
        self.of_frequencies = self._error_of_frequencies()
        callbacks: list[Callback] = [
            Diverged("take a lower --learning-rate"),
            self.best,
            EarlyStopping(settings.patience, self.best),
        ]
        if checkpoint is not None:
            identity = {
                "settings": asdict(settings),
                "seed": seed,
                "origin": origin,
                "texts": sha256_hex("\n".join([*train, "", *val]).encode()),
                "vocabulary": self._vocabulary,
            }
            callbacks.append(saved := Checkpoint(checkpoint, canonical_json(identity)))
        super().__init__(
            self.model,
            torch.optim.AdamW(
                [{"params": list(self.model.parameters())}],
                lr=0.0,
                weight_decay=settings.weight_decay,
            ),
            max_epochs=settings.passes * self.rounds_a_pass,
            callbacks=callbacks,
        )
        if checkpoint is not None:
            saved.resume_from_file(self)

    def step(self, rows: Sequence[int]) -> float:
        """One step on some training texts; the sum of their errors before it."""
        loss, wrong = self._losses([self._train[row] for row in rows], None)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        # A broken loss must not hide behind a probability that happens to be finite.
        return (wrong if bool(torch.isfinite(loss)) else float("nan")) * len(rows)

    def validate(self) -> float:
        """The mean error over the validation texts' masked tokens."""
        generator = torch.Generator().manual_seed(0)
        order = sorted(self._val, key=lambda one: len(one.ids))
        total = 0.0
        for first in range(0, len(order), _TEXTS_AT_ONCE):
            part = order[first : first + _TEXTS_AT_ONCE]
            total += self._losses(part, generator)[1] * len(part)
        return total / len(order)

    def _losses(
        self, tokens: Sequence[Tokens], generator: torch.Generator | None
    ) -> tuple[torch.Tensor, float]:
        """The cross-entropy of the masked tokens, and the mean of 1 - p."""
        ids, present = padded(tokens, self._pad, "cpu")
        special = torch.ones_like(ids, dtype=torch.bool)
        for row, one in enumerate(tokens):
            special[row, : len(one.ids)] = torch.tensor(one.special, dtype=torch.bool)
        asked, shown = masked(ids, special, self._mask, self._vocabulary, generator)
        device = self.settings.device
        with products(self.settings.precision, device):
            logits = self.model(shown.to(device), present.to(device), asked.to(device))
        truth = ids[asked].to(device)
        told = torch.log_softmax(logits.float(), dim=1).gather(1, truth[:, None]).squeeze(1)
        return -told.mean(), float(1 - told.detach().exp().mean())

    def _error_of_frequencies(self) -> float:
        """The error of one who knows only how frequent each token is."""
        counts = Counter(one for tokens in self._train for one in tokens.ids)
        total = sum(counts.values())
        found = [counts[one] / total for tokens in self._val for one in tokens.ids]
        return 1 - sum(found) / max(len(found), 1)


def masked(
    ids: torch.Tensor,
    special: torch.Tensor,
    mask_id: int,
    vocabulary: int,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which tokens are asked for, bool, and what is shown in their stead.

    Of 15 % of the tokens, at least one, eight in ten are shown as the mask, one as another token
    and one as it is.
    """
    drawn = torch.rand(ids.shape, generator=generator).masked_fill(special, 2.0)
    asked = drawn < _MASKED
    if not bool(asked.any()):
        asked = drawn == drawn.min()
    how = torch.rand(ids.shape, generator=generator)
    others = torch.randint(vocabulary, ids.shape, generator=generator)
    shown = torch.where(asked & (how < _AS_MASK), torch.full_like(ids, mask_id), ids)
    as_other = asked & (how >= _AS_MASK) & (how < _AS_MASK + _AS_RANDOM)
    return asked, torch.where(as_other, others, shown)
