"""The settings that a Gaussian process and networks have, whatever they learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from train.predictors.base import Examples
from train.predictors.ensemble.networks import NetworkSettings
from train.predictors.ensemble.projection import Projection

#: Of the process in the average, that are tried.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class EnsembleSettings:
    """Settings of the process, the networks and the projection that both see features by.

    Parameters
    ----------
    members : int
        Networks.
    depth : int
        Their residual layers.
    width : int
        Of all hidden layers.
    epochs : int
        Passes of the networks over their rows, in the rehearsal as in the training; there is no
        early stopping.
    batch_size : int
        Rows of a step.
    learning_rate : float
        Of AdamW at its highest.
    weight_decay : float
        Of AdamW.
    rows_to_tune : int
        Random training rows by which the kernel is tuned.
    rows_of_process : int
        Rows that the process learns from; of more a random choice. It takes 8 bytes for each pair
        of them.
    kernel_power : float
        Power of the kernel's weights by which the networks' segments are sized; 0 leaves them
        alike.
    column_power, component_power : float
        Of the projection: 0 leaves a segment's columns and principal components at their sizes, 1
        makes them equal.
    learn_from_val : bool
        Whether the training takes the validation rows, too.
    """

    members: int = 8
    depth: int = 6
    width: int = 192
    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    rows_to_tune: int = 1000
    rows_of_process: int = 25_000
    kernel_power: float = 1.0
    column_power: float = 0.0
    component_power: float = 0.0
    learn_from_val: bool = True

    name: ClassVar[str] = "ensemble"

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters as JSON values."""
        return dict(vars(self))

    @property
    def max_epochs(self) -> int:
        """Epochs of both trainings."""
        return 2 * self.epochs

    @property
    def network_settings(self) -> NetworkSettings:
        """Those of the networks."""
        names = NetworkSettings.__dataclass_fields__
        return NetworkSettings(**{name: getattr(self, name) for name in names})

    def projection(self, rows: Examples) -> Projection:
        """What both parts see the features by."""
        return Projection.of(
            rows.features, segments_of(rows), self.column_power, self.component_power
        )


def segments_of(rows: Examples) -> Sequence[tuple[str, int, int]]:
    """Their segments; without, all columns are one."""
    return rows.segments or (("all", 0, rows.features.shape[1]),)


def random_rows(rows: Examples, count: int, generator: torch.Generator) -> npt.NDArray[np.int64]:
    """Indices of at most so many rows, in order."""
    order = torch.randperm(len(rows), generator=generator).numpy()
    return np.sort(order[:count])
