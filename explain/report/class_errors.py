"""Where a model of classes errs: by class, by what it says in place of it, by its sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explain.report.class_charts import Curve, Reliability, curves, reliability
from explain.report.outcomes import ClassPredictions
from train.analysis.discrimination import area_estimate, share_estimate
from train.analysis.groups import LEAST
from train.analysis.resampling import Estimate
from train.tasks.class_metrics import confusion

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Of more classes not the whole matrix is shown, but what is mistaken most often.
_WIDEST = 12
_MISTAKES = 15


@dataclass(frozen=True)
class ClassRow:
    """One class on the test fold; rates are None where nothing is of the class or so called.

    Parameters
    ----------
    found : float or None
        Of its materials the share whose most probable class it is (recall).
    right : float or None
        Of what is called so the share that is (precision).
    area : Estimate or None
        Under the ROC curve of the class against the rest.
    covered : Estimate or None
        Of its materials the share whose 90 % set has it, mean over the seeds; None without sets.
    set_size : float or None
        How many classes are in these sets on average.
    """

    name: str
    n: int
    found: float | None
    right: float | None
    area: Estimate | None
    covered: Estimate | None
    set_size: float | None


@dataclass(frozen=True)
class SetRow:
    """Sets with so many classes: their share of all, and how many of them hold the true one."""

    size: int
    n: float
    share: float
    covered: float


@dataclass(frozen=True)
class Mistake:
    """So many materials of the class ``true`` are called ``called``."""

    true: str
    called: str
    n: int


@dataclass(frozen=True)
class ClassErrors:
    """The test fold of a model of classes; probabilities are means over the seeds.

    Parameters
    ----------
    classes : tuple of str
        In their order.
    rows : tuple of ClassRow
        Of these.
    confusion : tuple of tuple of int
        True by most probable class, by place; empty of many classes.
    mistakes : tuple of Mistake
        In its place the most frequent ones.
    sets : tuple of SetRow
        The smallest first; empty without sets.
    reliability : Reliability
        How often the most probable class is true.
    curves : tuple of Curve
        ROC curves.
    """

    classes: tuple[str, ...]
    rows: tuple[ClassRow, ...]
    confusion: tuple[tuple[int, ...], ...]
    mistakes: tuple[Mistake, ...]
    sets: tuple[SetRow, ...]
    reliability: Reliability
    curves: tuple[Curve, ...]

    @property
    def covered(self) -> float | None:
        """The share of the test materials whose set holds their class; None without sets."""
        if not self.sets:
            return None
        return sum(row.share * row.covered for row in self.sets)

    @property
    def set_size(self) -> float | None:
        """How many classes are in the sets on average; None without sets."""
        return sum(row.share * row.size for row in self.sets) if self.sets else None

    def share(self, true: int, called: int) -> float:
        """Of the materials of a class the share that is called another, by place."""
        n = sum(self.confusion[true])
        return self.confusion[true][called] / n if n else math.nan


def class_errors(stored: ClassPredictions, classes: Sequence[str]) -> ClassErrors:
    """What the test fold, which is not empty, says of each class."""
    test = stored.in_fold("test")
    true, mean = stored.true[test], stored.mean[test]
    sets = None if stored.sets is None else stored.sets[:, test]
    matrix = confusion(true, mean)
    rows = tuple(_class_row(place, name, true, mean, sets) for place, name in enumerate(classes))
    mistakes = sorted(
        (
            Mistake(classes[of], classes[called], n)
            for of, line in enumerate(matrix)
            for called, n in enumerate(line)
            if n and of != called
        ),
        key=lambda one: -one.n,
    )
    few = len(classes) <= _WIDEST
    return ClassErrors(
        classes=tuple(classes),
        rows=rows,
        confusion=tuple(map(tuple, matrix)) if few else (),
        mistakes=() if few else tuple(mistakes[:_MISTAKES]),
        sets=() if sets is None else _set_rows(true, sets),
        reliability=reliability(true, mean),
        curves=curves(true, mean, classes),
    )


def _class_row(place: int, name: str, true: Ints, mean: Floats, sets: Flags | None) -> ClassRow:
    inside, called = true == place, mean.argmax(axis=1) == place
    n = int(inside.sum())
    area = area_estimate(inside, mean[:, place])
    covered = size = None
    if sets is not None and n:
        of_seeds = sets[:, inside]
        share = float(of_seeds[:, :, place].mean())
        bounds = share_estimate(round(share * n), n)
        covered = _unless_few(Estimate(share, bounds.low, bounds.high), n)
        size = float(of_seeds.sum(axis=2).mean())
    return ClassRow(
        name=name,
        n=n,
        found=float(called[inside].mean()) if n else None,
        right=float(inside[called].mean()) if called.any() else None,
        area=None if area is None else _unless_few(area, n),
        covered=covered,
        set_size=size,
    )


def _unless_few(estimate: Estimate, n: int) -> Estimate:
    return estimate if n >= LEAST else Estimate(estimate.value, math.nan, math.nan)


def _set_rows(true: Ints, sets: Flags) -> tuple[SetRow, ...]:
    sizes = sets.sum(axis=2)
    holds = sets[:, np.arange(len(true)), true]
    return tuple(
        SetRow(
            size=int(size),
            n=float((sizes == size).sum() / len(sizes)),
            share=float((sizes == size).mean()),
            covered=float(holds[sizes == size].mean()),
        )
        for size in np.unique(sizes)
    )
