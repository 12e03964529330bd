"""Several small residual networks trained at once: their layers are batched matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from train.predictors.ensemble.kernel import Floats

_ROWS_AT_ONCE = 2048
_WARM_UP = 0.1
#: Parameters whose first axis is the residual layers.
_OF_LAYERS = ("hidden", "hidden_bias")


@dataclass(frozen=True)
class NetworkSettings:
    """What decides the networks.

    Parameters
    ----------
    members : int
        Networks; they see the same batches and differ by their initial weights.
    depth : int
        Their residual layers.
    width : int
        Of all hidden layers.
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
    depth: int
    width: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Networks:
    """Trained networks.

    h₀ = silu(x W₀ + b₀), then hₖ = hₖ₋₁ + silu(hₖ₋₁ Wₖ + bₖ) for each residual layer, y = h w + b.

    Parameters
    ----------
    parameters : dict of str to torch.Tensor
        float16; the members are the first axis, behind the residual layers' own.
    """

    parameters: Mapping[str, torch.Tensor] = field(repr=False)

    def members(self, inputs: Floats) -> Floats:
        """Each member's predictions, as `forward` has them, on the scale of the targets."""
        parameters = {name: value.float() for name, value in self.parameters.items()}
        rows = torch.from_numpy(_as_input(inputs))
        with torch.no_grad():
            parts = [forward(parameters, block) for block in rows.split(_ROWS_AT_ONCE)]
        return torch.cat(parts, dim=1).double().numpy()

    def behind(self, sizes: Floats) -> Networks:
        """The networks that give for inputs what these give for inputs times ``sizes`` (width,)."""
        first = self.parameters["first"].double() * torch.from_numpy(sizes)[:, None]
        return Networks({**self.parameters, "first": first.half()})

    def some(self, members: slice) -> Networks:
        """The networks of these members."""
        return Networks(
            {
                name: value[:, members] if name in _OF_LAYERS else value[members]
                for name, value in self.parameters.items()
            }
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The parameters as arrays."""
        return {name: value.numpy() for name, value in self.parameters.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Networks:
        """Restore what `to_arrays` gave."""
        parameters = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
        if "second" in parameters:  # older models have one residual layer
            parameters["hidden"] = parameters.pop("second")[None]
            parameters["hidden_bias"] = parameters.pop("second_bias")[None]
        return cls(parameters)


def forward(parameters: Mapping[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """Predictions of all members, shape (members, n), for rows of shape (n, width).

    With k outputs, more than one, the shape is (members, n, k).
    """
    p = parameters
    members, width, hidden = p["first"].shape
    # All members read the same rows: one matrix product instead of one for each.
    joined = p["first"].permute(1, 0, 2).reshape(width, members * hidden)
    h = (rows @ joined).view(len(rows), members, hidden).transpose(0, 1)
    h = torch.nn.functional.silu(h + p["first_bias"])
    # Unbound at once: the gradient of each index alone would be as large as all layers.
    for bias, weights in zip(p["hidden_bias"].unbind(), p["hidden"].unbind(), strict=True):
        h = h + torch.nn.functional.silu(torch.baddbmm(bias, h, weights))
    return torch.baddbmm(p["output_bias"], h, p["output"]).squeeze(-1)


def absolute_error(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean absolute error of each member, shape (members,), for (members, n) of either."""
    return (predictions - targets).abs().mean(dim=1)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean log loss of each member, shape (members,), for (members, n, k) of either."""
    return -(targets * torch.log_softmax(logits, dim=-1)).sum(dim=-1).mean(dim=1)


def train_networks(
    inputs: Floats,
    targets: Floats,
    settings: NetworkSettings,
    generator: torch.Generator,
    on_epoch: Callable[[int, Networks, Floats], None],
    loss_of_members: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = absolute_error,
) -> Networks:
    """Train by AdamW (Loshchilov and Hutter, ICLR 2019) on the members' mean loss.

    This is no `TrainingLoop`: all members are one batched product whose parameters are no module,
    every member's predictions go to ``on_epoch`` (the members that learn either transformation have
    a history each), and there is nothing to stop, to keep the best of or to resume.

    Parameters
    ----------
    inputs : ndarray, shape (n, width), float64
        Projected training rows.
    targets : ndarray, shape (members, n) or (members, n, k), float64
        What each of them learns; k is the number of their outputs.
    generator : torch.Generator
        Of the initial weights and the shuffling.
    on_epoch : callable
        Called after each epoch with its number from 1, the networks, and the members' predictions
        for each training row at the time its batch was trained on, of the targets' shape.
    loss_of_members : callable
        From predictions and targets of a batch to a loss for each member.
    """
    rows = torch.from_numpy(_as_input(inputs))
    wanted = torch.from_numpy(targets.astype(np.float32))
    outputs = targets.shape[2] if targets.ndim > 2 else 1
    parameters = _initial(rows.shape[1], outputs, settings, generator)
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
        seen = np.empty(targets.shape)
        for chosen in order.split(settings.batch_size):
            rate = next(rates)
            for group in optimizer.param_groups:
                group["lr"] = rate
            predictions = forward(parameters, rows[chosen])
            # Summed over the members, so that each one's gradient is that of its own mean.
            loss = loss_of_members(predictions, wanted[:, chosen]).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            seen[:, chosen.numpy()] = predictions.detach().numpy()
        on_epoch(epoch, _rounded(parameters), seen)
    return _rounded(parameters)


def _learning_rates(settings: NetworkSettings, steps: int) -> Iterator[float]:
    for step in range(steps):
        done = (step + 1) / steps
        warm = min(1.0, done / _WARM_UP)
        fall = 0.5 * (1 + math.cos(math.pi * max(0.0, (done - _WARM_UP) / (1 - _WARM_UP))))
        yield settings.learning_rate * warm * fall


def _initial(
    n_inputs: int, outputs: int, settings: NetworkSettings, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    members, depth, width = settings.members, settings.depth, settings.width

    def normal(*shape: int, gain: float) -> torch.Tensor:
        values = torch.randn(*shape, generator=generator)
        return (values * gain / math.sqrt(shape[-2])).requires_grad_()

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(*shape, requires_grad=True)

    return {
        "first": normal(members, n_inputs, width, gain=1.3),
        "first_bias": zeros(members, 1, width),
        "hidden": normal(depth, members, width, width, gain=1.3),
        "hidden_bias": zeros(depth, members, 1, width),
        "output": normal(members, width, outputs, gain=0.3),
        "output_bias": zeros(members, 1, outputs),
    }


def _as_input(inputs: Floats) -> npt.NDArray[np.float32]:
    """Projected rows at the size for which the initial weights are made: components about 1."""
    return (inputs * np.sqrt(256)).astype(np.float32)


def _rounded(parameters: Mapping[str, torch.Tensor]) -> Networks:
    return Networks({name: value.detach().half() for name, value in parameters.items()})
