"""Attention across the parts of a row of features, in place of one long vector.

Each named segment (a structure's atoms, bonds, angles; each text) becomes a token by a projection
of its own; a query token, which belongs to the target, attends to them. The layers are those of
A. Vaswani et al., "Attention is all you need" (NeurIPS 2017), with the norm first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

Segments = Sequence[tuple[str, int, int]]


class Layer(nn.Module):
    """Attention among the tokens, then two dense layers, each beside a residual."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.joint = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (n, parts + 1, width), and the weights (n, heads, parts + 1, parts + 1)."""
        n, length, width = tokens.shape
        shape = (n, length, self.heads, width // self.heads)
        q, k, v = (
            one.view(shape).transpose(1, 2)
            for one in self.joint(self.first_norm(tokens)).chunk(3, dim=-1)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) * shape[-1] ** -0.5, dim=-1)
        mixed = (weights @ v).transpose(1, 2).reshape(n, length, width)
        tokens = tokens + self.dropout(self.out(mixed))
        return tokens + self.dropout(self.dense(self.second_norm(tokens))), weights


class AttentionNetwork(nn.Module):
    """Predicts a number for each row from its parts.

    Parameters
    ----------
    segments : sequence of (str, int, int)
        Name, start and stop of each part of a row.
    width, layers, heads : int
        Width of the tokens, which ``heads`` divides; number of layers and of heads.
    dropout : float
        In training, of the inputs and after each sub-layer.
    """

    def __init__(
        self, segments: Segments, width: int, layers: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.segments = tuple(segments)
        self.n_features = max(stop for _, _, stop in segments)
        self.inputs = nn.ModuleList(nn.Linear(stop - start, width) for _, start, stop in segments)
        self.kinds = nn.Parameter(0.02 * torch.randn(len(self.segments) + 1, width))
        self.layers = nn.ModuleList(Layer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Predictions of shape (n,) for standardised features (n, n_features)."""
        return self.both(features)[0]

    def both(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predictions (n,), and what the query attends to in the last layer: (n, parts).

        The weights are means over the heads, without the query's on itself, of sum 1.
        """
        features = self.dropout(features)
        parts = [
            of_part(features[:, start:stop])
            for of_part, (_, start, stop) in zip(self.inputs, self.segments, strict=True)
        ]
        query = torch.zeros_like(parts[0])
        tokens = F.silu(torch.stack([query, *parts], dim=1)) + self.kinds
        weights = torch.empty(0)
        for layer in self.layers:
            tokens, weights = layer(tokens)
        of_query = weights.mean(dim=1)[:, 0, 1:]
        predictions: torch.Tensor = self.output(self.norm(tokens[:, 0])).squeeze(-1)
        return predictions, of_query / of_query.sum(dim=1, keepdim=True)
