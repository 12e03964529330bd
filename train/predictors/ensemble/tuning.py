"""The kernel, and whether targets are seen as they are or as square roots."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from train.predictors.ensemble.kernel import Floats, Tuned, tuned_kernel
from train.predictors.ensemble.targets import TRANSFORMATIONS, TargetScale


def best_tuned(
    inputs: Floats, segments: Sequence[slice], targets: Floats
) -> tuple[Tuned, TargetScale]:
    """The kernel tuned on the scale of the lower leave-one-out error, and that scale.

    Parameters
    ----------
    inputs : ndarray, shape (n, width), float64
        Projected rows.
    segments : sequence of slice
        Columns that share a weight.
    targets : ndarray, shape (n,), float64
        Theirs, in their unit.
    """
    candidates = []
    for name in TRANSFORMATIONS:
        scale = TargetScale.of(targets, name)
        kernel = tuned_kernel(inputs, segments, scale.scaled(targets))
        mae = float(np.abs(scale.in_unit(kernel.left_out) - targets).mean())
        candidates.append((math.inf if math.isnan(mae) else mae, kernel, scale))
    _, kernel, scale = min(candidates, key=lambda found: found[0])
    return kernel, scale
