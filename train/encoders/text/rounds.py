"""Training in rounds, parts of a pass: each is judged, kept on disk, and gone on from exactly."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from featurestore.errors import InvalidInputError
from featurestore.output.progress import Progress
from ingest.encoders.bert.numbers import NumberForm
from train.predictors.base import Epoch
from train.predictors.callbacks import ShowProgress
from train.predictors.loop import TrainingLoop

_WARM_UP = 0.1
# Among so many batches' texts those of like length come together.
_BATCHES_A_POOL = 16


@dataclass(frozen=True, kw_only=True)
class RoundSettings:
    """What decides how a text model is trained, whatever it learns.

    Parameters
    ----------
    numbers : NumberForm
        How numbers stand in the texts.
    max_tokens : int
        Longer texts are cut there.
    passes, texts_a_round, patience : int
        Passes over the texts; texts after which it is judged and kept; rounds without a better one
        after which it stops.
    batch_size : int
        Texts of a step.
    learning_rate, weight_decay : float
        Of AdamW.
    precision : {"float32", "bfloat16"}
        Of matrix products; bfloat16 on a GPU or a CPU with AMX.
    device : str
        "cpu" or "cuda".

    Raises
    ------
    InvalidInputError
        If bfloat16 is asked for on a CPU that has no AMX.
    """

    numbers: NumberForm = field(default_factory=NumberForm)
    max_tokens: int = 256
    passes: int = 3
    texts_a_round: int = 2000
    patience: int = 5
    batch_size: int = 16
    learning_rate: float
    weight_decay: float = 1e-2
    precision: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.precision == "bfloat16" and self.device == "cpu" and not has_amx():
            raise InvalidInputError(
                "bfloat16 makes the backward pass of a text model many times slower on this CPU, "
                "which has no AMX: train in float32, or with --device cuda"
            )


class Rounds(TrainingLoop):
    """A loop whose epochs are rounds of about ``texts_a_round`` texts.

    A pass over a large corpus takes hours: a state that is only kept after it would lose them.
    Subclasses say what a step and the validation error are. The rate rises over the first tenth of
    the steps and falls to zero after it, both evenly.

    Attributes
    ----------
    lengths : list of int
        Tokens of each training text.
    batch_size, texts_a_round, passes, seed : int
        Texts of a step and a round; passes over the texts; of order and dropout.
    rates : list of float
        The highest rate of each group of the optimiser's parameters.
    """

    lengths: list[int]
    batch_size: int
    texts_a_round: int
    passes: int
    seed: int
    rates: list[float]

    @abstractmethod
    def step(self, rows: Sequence[int]) -> float:
        """One step of the optimiser on some training texts; the sum of their errors before it."""

    @abstractmethod
    def validate(self) -> float:
        """The error on the validation texts."""

    @property
    def rounds_a_pass(self) -> int:
        """Rounds in which every training text is met once."""
        return max(1, round(len(self.lengths) / self.texts_a_round))

    def fit(self, progress: Progress) -> None:
        """Train the rounds that are left, and end with the weights of the best one.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        self.callbacks = (*self.callbacks, ShowProgress(progress))
        with torch.random.fork_rng():
            self.run()
        self.network.eval()

    def next_epoch(self) -> Epoch:
        """One round, then the error on the validation texts."""
        number = len(self.history)
        whole, part = divmod(number, self.rounds_a_pass)
        # Everything random of a round follows from its number: it can be gone on from exactly.
        torch.manual_seed(self.seed * 1_000_003 + number)
        batches = length_sorted_batches(self.lengths, self.batch_size, [self.seed, whole])
        mine = batches[part :: self.rounds_a_pass]
        self.network.train()
        total, texts = 0.0, 0
        for place, rows in enumerate(mine):
            self._set_rate((number + place / len(mine)) / self.max_epochs)
            total += self.step(rows)
            texts += len(rows)
        self.network.eval()
        with torch.no_grad():
            return Epoch(number + 1, total / max(texts, 1), self.validate())

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights that learn, by name; the others are the base model's."""
        named = self.network.named_parameters()
        return {name: value.detach() for name, value in named if value.requires_grad}

    def take_up(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Give the network weights that `weights` gave."""
        self.network.load_state_dict({**self.network.state_dict(), **weights})

    def state(self) -> dict[str, Any]:
        """The loop's, with the weights that learn alone."""
        return super().state() | {"network": self.weights()}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        whole = {**self.network.state_dict(), **state["network"]}
        super().resume({**state, "network": whole})

    def _set_rate(self, done: float) -> None:
        """The rate at a share ``done`` of the training."""
        share = done / _WARM_UP if done < _WARM_UP else (1 - done) / (1 - _WARM_UP)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share


def length_sorted_batches(
    lengths: Sequence[int], batch_size: int, seed: Sequence[int]
) -> list[list[int]]:
    """Rows in batches of like length, each row once, in random order.

    Rows are shuffled, sorted by length within pools of sixteen batches, cut, and the batches
    shuffled: little padding, and other company in each pass.
    """
    random = np.random.default_rng(list(seed))
    order = random.permutation(len(lengths)).tolist()
    size = _BATCHES_A_POOL * batch_size
    batches: list[list[int]] = []
    for first in range(0, len(order), size):
        pool = sorted(order[first : first + size], key=lambda row: lengths[row])
        batches += [pool[start : start + batch_size] for start in range(0, len(pool), batch_size)]
    return [batches[place] for place in random.permutation(len(batches))]


def has_amx() -> bool:
    """Whether this CPU multiplies tiles of bfloat16: without, training in it is 20 times slower."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def products(precision: str, device: str) -> AbstractContextManager[Any]:
    """What matrix products are computed in."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.partition(":")[0], dtype=torch.bfloat16)
