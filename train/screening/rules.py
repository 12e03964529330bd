"""Acquisition rules: in which order candidates are worth a calculation or a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError, UnknownNameError
from train.screening.distribution import BEYOND, Distribution
from train.screening.names import IMPROVEMENT, PROBABILITY, RULES, UNCERTAINTY, UPPER_BOUND
from train.screening.wants import Want

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is wanted of a property, and what is to be expected of n materials.

    Parameters
    ----------
    want : Want
        Its window as predictions are held against it.
    values : Distribution
        Of the n materials; of classes, of whether the want is fulfilled, 0 or 1.
    best : float
        The best known value; NaN for a window.
    spread : float
        Standard deviation of known values.
    """

    want: Want
    values: Distribution
    best: float
    spread: float

    @property
    def probability(self) -> Floats:
        """Of fulfilling the want, shape (n,); for a goal, of being better than the best known."""
        if self.want.classes:
            return self.values.centre
        if self.want.goal is None:
            return self.values.within(self.want)
        return self.values.better(self.best, self.want.seeks_largest())

    @property
    def may_be_fulfilled(self) -> npt.NDArray[np.bool_]:
        """Whether the middle 90 % reach into the window, or the classes are not too improbable."""
        if self.want.classes:
            return np.asarray(self.probability >= BEYOND)
        low, high = self.values.quantile(BEYOND), self.values.quantile(1 - BEYOND)
        return np.asarray((low <= self.want.high) & (high >= self.want.low))


def check_rule(rule: str, wants: Sequence[Want]) -> None:
    """Refuse a rule that there is not, or that has nothing to improve.

    Raises
    ------
    UnknownNameError, InvalidInputError
        Saying what would do.
    """
    if rule not in RULES:
        raise UnknownNameError("acquisition rule", rule, RULES)
    goals = [want for want in wants if want.goal is not None]
    if rule in (IMPROVEMENT, UPPER_BOUND) and len(goals) != 1:
        said = ", ".join(f"{str(goal)!r}" for goal in goals) or "only windows are wanted"
        raise InvalidInputError(
            f"the rule {rule!r} needs one property to improve, as 'maximise P' or 'minimise P', "
            f"beside any windows ({said}); for windows alone take {PROBABILITY!r}"
        )


def scores(rule: str, outlooks: Sequence[Outlook]) -> Floats:
    """How much each material is worth by a rule, shape (n,); more is better.

    - ``probability``: of fulfilling all wants, the product over them.
    - ``expected-improvement``: over the best known value, times the probability of all windows
      (Schonlau, Welch and Jones 1998; Gardner et al., Proc. ICML 2014).
    - ``upper-bound``: the value that one true value in twenty is better than, in its unit, with the
      sign turned where the smallest is wanted; minus infinity where the middle 90 % of a property
      miss its window.
    - ``uncertainty``: half the width of the middle 90 %, in units of the known values' standard
      deviation, the mean over the wants.

    Parameters
    ----------
    rule : str
        One of `RULES`.
    outlooks : sequence of Outlook
        Of the same materials; for two of the rules one is a goal, see `check_rule`.
    """
    if rule == PROBABILITY:
        return joint(outlooks)
    if rule == UNCERTAINTY:
        return np.asarray(np.mean([_half(one.values) / one.spread for one in outlooks], axis=0))
    windows = [one for one in outlooks if one.want.goal is None]
    (aim,) = (one for one in outlooks if one.want.goal is not None)
    if rule == IMPROVEMENT:
        return aim.values.improvement(aim.best, aim.want.seeks_largest()) * joint(windows)
    values, largest = aim.values, aim.want.seeks_largest()
    bound = values.quantile(1 - BEYOND) if largest else -values.quantile(BEYOND)
    for one in windows:
        bound = np.where(one.may_be_fulfilled, bound, -np.inf)
    return bound


def joint(outlooks: Sequence[Outlook]) -> Floats:
    """The probability of fulfilling all wants if errors are independent; 1 without any."""
    return np.asarray(np.prod([one.probability for one in outlooks], axis=0))


def _half(values: Distribution) -> Floats:
    return (values.quantile(1 - BEYOND) - values.quantile(BEYOND)) / 2
