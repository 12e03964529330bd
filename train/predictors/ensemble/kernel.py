"""The Matérn 3/2 kernel with a weight for each segment, tuned by its leave-one-out errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]

_STEPS = 40
_STEP_SIZE = 0.15
_SMOOTHING = 1e-3
# Equal structures give equal rows, whose kernel matrix is singular without noise.
_JITTER = 1e-6


@dataclass(frozen=True)
class Tuned:
    """A kernel and what it makes of the rows it was tuned on.

    Parameters
    ----------
    weights : ndarray, shape (segments,), float64
        Of each segment's squared distance: an inverse squared length scale.
    nugget : float
        Variance of the noise, in units of the kernel's value at distance zero.
    left_out : ndarray, shape (n,) or (n, k), float64
        Prediction for each row by all the others.
    """

    weights: Floats
    nugget: float
    left_out: Floats

    def sizes(self, segments: Sequence[slice], power: float) -> Floats:
        """A factor for each column that gives segments the relevance that the kernel found.

        Parameters
        ----------
        segments : sequence of slice
            Columns of each weight.
        power : float
            0 leaves all segments alike, with 1 squared distances are the kernel's.

        Returns
        -------
        ndarray, shape (width,), float64
            The weights' roots to that power; the mean of their squares over segments is 1.
        """
        relevance = np.maximum(self.weights, np.finfo(np.float64).tiny) ** power
        roots = np.sqrt(relevance / relevance.mean())
        widths = [part.stop - part.start for part in segments]
        return np.repeat(roots, widths)


def matern(squared_distances: Floats) -> Floats:
    """(1 + √3 r) exp(-√3 r) for squared distances r², in place."""
    np.maximum(squared_distances, 0, out=squared_distances)
    squared_distances *= 3
    np.sqrt(squared_distances, out=squared_distances)
    decay = np.exp(-squared_distances)
    squared_distances += 1
    squared_distances *= decay
    return squared_distances


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Squared Euclidean distances, shape (len(a), len(b)); off by rounding, so maybe below 0."""
    product = a @ b.T
    product *= -2
    product += np.einsum("ij,ij->i", a, a)[:, None]
    product += np.einsum("ij,ij->i", b, b)
    return product


def absolute_loss(residuals: torch.Tensor) -> torch.Tensor:
    """The mean absolute error, smoothed at zero."""
    return torch.sqrt(residuals**2 + _SMOOTHING).mean()


def squared_loss(residuals: torch.Tensor) -> torch.Tensor:
    """The mean squared error, which probabilities make small."""
    return (residuals**2).mean()


def tuned_kernel(
    inputs: Floats,
    segments: Sequence[slice],
    targets: Floats,
    loss: Callable[[torch.Tensor], torch.Tensor] = absolute_loss,
) -> Tuned:
    """Weights and nugget by gradient descent on the leave-one-out error.

    The leave-one-out predictions of a Gaussian process have a closed form (Rasmussen and Williams,
    Gaussian Processes for Machine Learning, 2006, eqs. 5.10-5.12), whose errors Adam makes small.

    Parameters
    ----------
    inputs : ndarray, shape (n, width), float64
        Projected rows; time grows with the cube of n.
    segments : sequence of slice
        Columns that share a weight.
    targets : ndarray, shape (n,) or (n, k), float64
        On a scale on which they have mean 0 and standard deviation about 1.
    loss : callable
        Of the residuals, to a scalar.
    """
    blocks = [inputs[:, part] for part in segments]
    distances = torch.from_numpy(
        np.stack([np.maximum(squared_distances(block, block), 0) for block in blocks])
    )
    y = torch.from_numpy(targets)
    logs = torch.full((len(segments) + 1,), -2.0, dtype=torch.float64)
    logs[-1] = -5.0
    logs.requires_grad_()
    optimizer = torch.optim.Adam([logs], lr=_STEP_SIZE)
    for step in range(_STEPS):
        optimizer.param_groups[0]["lr"] = _STEP_SIZE * (1 - 0.9 * step / _STEPS)
        optimizer.zero_grad()
        residuals = _left_out_residuals(distances, y, logs)
        loss(residuals).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        residuals = _left_out_residuals(distances, y, logs)
        values = torch.exp(logs).numpy()
    return Tuned(values[:-1].copy(), float(values[-1]) + _JITTER, (y - residuals).numpy())


def _left_out_residuals(
    distances: torch.Tensor, y: torch.Tensor, logs: torch.Tensor
) -> torch.Tensor:
    weighted = torch.einsum("s,sij->ij", torch.exp(logs[:-1]), distances)
    # The square root's slope is infinite at zero.
    r = torch.sqrt(3 * weighted + 1e-12)
    covariance = (1 + r) * torch.exp(-r)
    noise = (torch.exp(logs[-1]) + _JITTER) * torch.eye(len(y), dtype=torch.float64)
    inverse = torch.linalg.inv(covariance + noise)
    precisions = torch.diagonal(inverse)
    return (inverse @ y) / (precisions if y.ndim == 1 else precisions[:, None])
