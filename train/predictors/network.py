"""The paper's network: fully connected, a residual around every hidden layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

PAPER_WIDTHS = (1024,) * 4 + (512,) * 3 + (256,) * 3 + (128,) * 3 + (64,) * 2 + (32,)


class ResidualMLP(nn.Module):
    """Hidden layers ``h = relu(W x + b) + shortcut(x)`` and one linear output.

    The shortcut is the identity where the widths agree, else a linear projection with a bias; it
    is added after the activation, as in Li et al., Digital Discovery 2025, 4, 376. With
    ``PAPER_WIDTHS`` there are 8,389,409 parameters at 1,536 features and 6,816,545 at 768.

    Weights start Glorot-uniform and biases at zero, the defaults of Keras, with which the paper's
    predictor was trained; PyTorch's own defaults are another distribution.

    Parameters
    ----------
    n_features : int
        Width of the input.
    widths : sequence of int
        Widths of the hidden layers.
    generator : torch.Generator
        Source of the initial weights.
    """

    def __init__(
        self, n_features: int, widths: Sequence[int], generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.n_features = n_features
        self.hidden = nn.ModuleList()
        self.shortcuts = nn.ModuleList()
        before = n_features
        for width in widths:
            self.hidden.append(nn.Linear(before, width))
            self.shortcuts.append(nn.Identity() if before == width else nn.Linear(before, width))
            before = width
        self.output = nn.Linear(before, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Predictions of shape (n,) for features of shape (n, n_features)."""
        for layer, shortcut in zip(self.hidden, self.shortcuts, strict=True):
            features = torch.relu(layer(features)) + shortcut(features)
        return self.output(features).squeeze(-1)
