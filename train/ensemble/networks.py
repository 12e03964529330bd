"""Several small residual networks trained at once: their layers are batched matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from train.ensemble.kernel import Floats

_ROWS_AT_ONCE = 2048
_WARM_UP = 0.1


@dataclass(frozen=True)
class NetworkSettings:
    """What decides the networks.

    Parameters
    ----------
    members : int
        Networks; they see the same batches and differ by their initial weights.
    width : int
        Of both hidden layers.
    epochs : int
        Passes over the training rows; there is no early stopping.
    batch_size : int
        Rows of a step.
    learning_rate : float
        AdamW's, at the end of the warm-up; from there it falls to zero along a cosine.
    weight_decay : float
        AdamW's.
    """

    members: int
    width: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Networks:
    """Trained networks.

    h₁ = silu(x W₁ + b₁), h₂ = h₁ + silu(h₁ W₂ + b₂), y = h₂ w + b.

    Parameters
    ----------
    parameters : dict of str to torch.Tensor
        float16, the first axis being the members.
    """

    parameters: Mapping[str, torch.Tensor] = field(repr=False)

    def members(self, inputs: Floats) -> Floats:
        """Each member's predictions, shape (members, n), on the scale of the targets."""
        parameters = {name: value.float() for name, value in self.parameters.items()}
        rows = torch.from_numpy(_as_input(inputs))
        with torch.no_grad():
            parts = [forward(parameters, block) for block in rows.split(_ROWS_AT_ONCE)]
        return torch.cat(parts, dim=1).double().numpy()

    def behind(self, sizes: Floats) -> Networks:
        """The networks that give for inputs what these give for inputs times ``sizes`` (width,)."""
        first = self.parameters["first"].double() * torch.from_numpy(sizes)[:, None]
        return Networks({**self.parameters, "first": first.half()})

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The parameters as arrays."""
        return {name: value.numpy() for name, value in self.parameters.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Networks:
        """Restore what `to_arrays` gave."""
        return cls({name: torch.from_numpy(value.copy()) for name, value in arrays.items()})


def forward(parameters: Mapping[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """Predictions of all members, shape (members, n), for rows of shape (n, width)."""
    p = parameters
    members, width, hidden = p["first"].shape
    # All members read the same rows: one matrix product instead of one for each.
    joined = p["first"].permute(1, 0, 2).reshape(width, members * hidden)
    h = (rows @ joined).view(len(rows), members, hidden).transpose(0, 1)
    h = torch.nn.functional.silu(h + p["first_bias"])
    h = h + torch.nn.functional.silu(torch.baddbmm(p["second_bias"], h, p["second"]))
    return torch.baddbmm(p["output_bias"], h, p["output"]).squeeze(-1)


def train_networks(
    inputs: Floats,
    targets: Floats,
    settings: NetworkSettings,
    generator: torch.Generator,
    on_epoch: Callable[[int, Networks, Floats], None],
) -> Networks:
    """Train by AdamW (Loshchilov and Hutter, ICLR 2019) on the members' mean absolute error.

    Parameters
    ----------
    inputs : ndarray, shape (n, width), float64
        Projected training rows.
    targets : ndarray, shape (n,), float64
        On the scale to learn.
    generator : torch.Generator
        Of the initial weights and the shuffling.
    on_epoch : callable
        Called after each epoch with its number from 1, the networks, and the members' mean
        prediction for each training row at the time its batch was trained on.
    """
    rows = torch.from_numpy(_as_input(inputs))
    wanted = torch.from_numpy(targets.astype(np.float32))
    parameters = _initial(rows.shape[1], settings, generator)
    decayed = [value for name, value in parameters.items() if not name.endswith("bias")]
    others = [value for name, value in parameters.items() if name.endswith("bias")]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)
    batches = math.ceil(len(rows) / settings.batch_size)
    rates = _learning_rates(settings, batches * settings.epochs)
    for epoch in range(1, settings.epochs + 1):
        order = torch.randperm(len(rows), generator=generator)
        seen = np.empty(len(rows))
        for chosen in order.split(settings.batch_size):
            rate = next(rates)
            for group in optimizer.param_groups:
                group["lr"] = rate
            predictions = forward(parameters, rows[chosen])
            # Summed over the members, so that each one's gradient is that of its own mean.
            loss = (predictions - wanted[chosen]).abs().mean(dim=1).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            seen[chosen.numpy()] = predictions.detach().mean(dim=0).numpy()
        on_epoch(epoch, _rounded(parameters), seen)
    return _rounded(parameters)


def _learning_rates(settings: NetworkSettings, steps: int) -> Iterator[float]:
    for step in range(steps):
        done = (step + 1) / steps
        warm = min(1.0, done / _WARM_UP)
        fall = 0.5 * (1 + math.cos(math.pi * max(0.0, (done - _WARM_UP) / (1 - _WARM_UP))))
        yield settings.learning_rate * warm * fall


def _initial(
    n_inputs: int, settings: NetworkSettings, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    members, width = settings.members, settings.width

    def normal(rows: int, columns: int, gain: float) -> torch.Tensor:
        values = torch.randn(members, rows, columns, generator=generator)
        return (values * gain / math.sqrt(rows)).requires_grad_()

    def zeros(columns: int) -> torch.Tensor:
        return torch.zeros(members, 1, columns, requires_grad=True)

    return {
        "first": normal(n_inputs, width, 1.3),
        "first_bias": zeros(width),
        "second": normal(width, width, 1.3),
        "second_bias": zeros(width),
        "output": normal(width, 1, 0.3),
        "output_bias": zeros(1),
    }


def _as_input(inputs: Floats) -> npt.NDArray[np.float32]:
    """Projected rows at the size for which the initial weights are made: components about 1."""
    return (inputs * np.sqrt(256)).astype(np.float32)


def _rounded(parameters: Mapping[str, torch.Tensor]) -> Networks:
    return Networks({name: value.detach().half() for name, value in parameters.items()})
