"""Two seed groups side by side, on the test materials that both have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.session import Session
from train.analysis.predictions import fold_errors
from train.analysis.resampling import Estimate, mean_estimates, paired_difference
from train.forecasts.chosen import named_group
from train.forecasts.group import group_id
from train.models import SeedGroup


@dataclass(frozen=True)
class Comparison:
    """How two groups compare.

    Parameters
    ----------
    a, b : SeedGroup
        The groups.
    n : int
        Test materials that both predicted; ``only_a`` and ``only_b`` have further ones.
    error_a, error_b : Estimate
        Mean absolute errors, or Brier scores of classes, on the ``n`` materials, with bootstrap
        intervals of 95 %.
    gain : Estimate
        By how much b's is smaller, paired, with its interval.
    p : float
        Of the sign-flip test that the gain is zero.
    """

    a: SeedGroup
    b: SeedGroup
    n: int
    only_a: int
    only_b: int
    error_a: Estimate
    error_b: Estimate
    gain: Estimate
    p: float

    @property
    def unit(self) -> str:
        """Of the errors."""
        return self.a.first.task.error_unit

    @property
    def error(self) -> str:
        """What the errors are, in short."""
        return self.a.first.task.error_name

    def verdict(self) -> str:
        """The result in a sentence."""
        if self.gain.low > 0:
            return "B's errors are smaller"
        if self.gain.high < 0:
            return "A's errors are smaller"
        return "the interval of the difference holds zero: these materials do not tell them apart"


def compare_models(session: Session, a: str, b: str) -> Comparison:
    """Compare the groups of two models; errors are means over a group's seeds, by material.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If a name is of no model or several, both are of one group, or of two properties or units.
    MissingDataError
        If no test material is common to both.
    """
    first, second = named_group(session, a), named_group(session, b)
    p, q = first.parameters, second.parameters
    if group_id(first) == group_id(second):
        raise InvalidInputError(f"{a} and {b} differ by the seed alone, or not at all")
    if (p.property, p.unit) != (q.property, q.unit):
        raise InvalidInputError(
            f"{first.first.model_id} predicts {p.property} ({p.unit}), {second.first.model_id} "
            f"{q.property} ({q.unit}): errors of two properties do not compare"
        )
    of_a, of_b = _errors(session, first), _errors(session, second)
    common = sorted(of_a.keys() & of_b.keys())
    if not common:
        raise MissingDataError(
            f"no material is in the test folds of both {first.first.model_id} and "
            f"{second.first.model_id}: train both on one split"
        )
    x, y = (np.array([of[name] for name in common]) for of in (of_a, of_b))
    error_a, error_b = mean_estimates(np.stack([x, y], axis=1))
    paired = paired_difference(x, y)
    return Comparison(
        a=first,
        b=second,
        n=len(common),
        only_a=len(of_a) - len(common),
        only_b=len(of_b) - len(common),
        error_a=error_a,
        error_b=error_b,
        gain=paired.gain,
        p=paired.p,
    )


def _errors(session: Session, group: SeedGroup) -> dict[str, float]:
    """By test material the mean error over the seeds."""
    found: dict[str, list[float]] = {}
    for errors in fold_errors(session, group.model_ids).values():
        for name, error in zip(errors.material_ids, errors.errors, strict=True):
            found.setdefault(name, []).append(float(error))
    return {name: float(np.mean(values)) for name, values in found.items()}
