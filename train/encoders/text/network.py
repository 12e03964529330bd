"""A BERT with a linear head on the mean of its last layer, of which a chosen part learns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from featurestore.errors import InvalidInputError, MissingDataError
from ingest.encoders.bert.model import Transformer
from ingest.encoders.bert.tokens import Tokens

#: What of the model learns.
ALL, UPPER, LORA = "all", "upper", "lora"
_QUERIES_AND_VALUES = {"bert": ["query", "value"], "mpnet": ["q", "v"]}


@dataclass(frozen=True)
class Learning:
    """Which weights learn.

    Parameters
    ----------
    what : {"all", "upper", "lora"}
        All; those of the uppermost layers; or matrices of a low rank beside the queries and values
        of all layers (E. Hu et al., "LoRA", ICLR 2022), which are added to them in the end.
    layers : int
        How many layers are upper ones.
    rank : int
        Of LoRA's matrices.
    """

    what: str = ALL
    layers: int = 2
    rank: int = 8


class TextRegressor(nn.Module):
    """Predicts ``outputs`` numbers from the mean of the last layer's token vectors.

    The mean is over all tokens, special ones included: it is the vector that the encoder gives.
    """

    def __init__(self, encoder: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(width, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Predictions (n, outputs), for token ids and 1 where there is one, both (n, longest)."""
        hidden = self.encoder(input_ids=ids, attention_mask=present).last_hidden_state
        weights = present.to(hidden.dtype)
        pooled = torch.bmm(weights.unsqueeze(1), hidden).squeeze(1) / weights.sum(1, keepdim=True)
        predictions: torch.Tensor = self.head(pooled.float())
        return predictions


def choose_learning(transformer: Transformer, learning: Learning) -> nn.Module:
    """The encoder of which only the chosen weights ask for gradients.

    Raises
    ------
    InvalidInputError
        If there are not so many layers.
    MissingDataError
        If LoRA is asked for and peft is not installed.
    """
    module: Any = transformer.module
    if learning.what == ALL:
        return module  # type: ignore[no-any-return]
    if learning.what == LORA:
        return _with_lora(transformer, learning.rank)
    layers = len(module.encoder.layer)
    if not 0 <= learning.layers <= layers:
        raise InvalidInputError(
            f"the model has {layers} layers: {learning.layers} upper ones cannot be trained"
        )
    # Autograd keeps nothing of what lies below the first weight that learns.
    upper = {f"encoder.layer.{layers - 1 - i}." for i in range(learning.layers)}
    for name, parameter in module.named_parameters():
        found = re.match(r"encoder\.layer\.\d+\.", name)
        parameter.requires_grad_(found is not None and found[0] in upper)
    return module  # type: ignore[no-any-return]


def _with_lora(transformer: Transformer, rank: int) -> nn.Module:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingDataError(
            "LoRA needs the package peft: pip install 'materials-featurestore[lora]'"
        ) from error
    family = transformer.architecture["model_type"]
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.05,
        target_modules=_QUERIES_AND_VALUES[family],
    )
    adapted: nn.Module = get_peft_model(transformer.module, config)
    return adapted


def plain_encoder(encoder: nn.Module) -> nn.Module:
    """The encoder with LoRA's matrices added to those beside them."""
    merge = getattr(encoder, "merge_and_unload", None)
    return encoder if merge is None else merge()


def padded(tokens: Sequence[Tokens], pad_id: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and 1 where there is one, int64 of shape (n, longest)."""
    longest = max(len(one.ids) for one in tokens)
    ids = torch.full((len(tokens), longest), pad_id, dtype=torch.int64)
    present = torch.zeros((len(tokens), longest), dtype=torch.int64)
    for row, one in enumerate(tokens):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        present[row, : len(one.ids)] = 1
    return ids.to(device), present.to(device)
