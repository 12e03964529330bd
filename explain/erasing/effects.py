"""What an erasure does to the errors of several seeds on the same materials, with its certainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explain.erasing.stored import ErasureRows
from train.analysis.resampling import Estimate, mean_estimates, paired_difference


@dataclass(frozen=True)
class Effect:
    """What models lose with one part of their input.

    Parameters
    ----------
    n : int
        Number of materials.
    mae, erased_mae : float
        Mean over the seeds, with the full input and without the part.
    difference : Estimate
        The second minus the first, with a 95 % paired bootstrap interval over materials.
    difference_std : float or None
        Sample standard deviation over the seeds; None for a single one.
    p : float
        Of the two-sided sign-flip test that the difference is zero.
    change : Estimate
        Mean of the absolute change of the prediction: what the part moves, for better or worse.
    """

    n: int
    mae: float
    erased_mae: float
    difference: Estimate
    difference_std: float | None
    p: float
    change: Estimate


def erasure_effect(rows: ErasureRows, number: int, member: npt.NDArray[np.bool_]) -> Effect:
    """The effect of a variant, by its number, on some of the materials.

    Parameters
    ----------
    rows : ErasureRows
        Of n materials.
    number : int
        Place of the variant.
    member : ndarray, shape (n,), bool
        Which materials; at least one.
    """
    targets, erased = rows.targets[member], rows.erased[number][:, member]
    before = np.abs(rows.predictions[:, member] - targets)
    after = np.abs(erased - targets)
    compared = paired_difference(after.mean(axis=0), before.mean(axis=0))
    change = np.abs(erased - rows.predictions[:, member]).mean(axis=0)
    of_seeds = (after - before).mean(axis=1)
    (moved,) = mean_estimates(change[:, None])
    return Effect(
        n=int(member.sum()),
        mae=float(before.mean()),
        erased_mae=float(after.mean()),
        difference=compared.gain,
        difference_std=float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
        p=compared.p,
        change=moved,
    )
