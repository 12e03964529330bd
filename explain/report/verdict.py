"""What a report says first: how far off the model is, and what that is to be compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from explain.drawing.printed import number
from explain.report.model import FoldRow
from featurestore.output.labels import printed_after, property_title
from train.analysis.groups import LEAST


@dataclass(frozen=True)
class Verdict:
    """The error in large letters, and a few sentences on it.

    Parameters
    ----------
    headline : str
        The test MAE with its unit; empty without a test fold.
    below : str
        Its interval and the number of materials.
    sentences : tuple of str
        What it is to be compared with.
    """

    headline: str
    below: str
    sentences: tuple[str, ...]


def verdict(folds: Sequence[FoldRow], constant: float | None, property: str, unit: str) -> Verdict:
    """The verdict on a model of numbers.

    Parameters
    ----------
    folds : sequence of FoldRow
        Its errors.
    constant : float or None
        The test MAE of the median of the training targets.
    property, unit : str
        What is predicted.
    """
    of = {row.fold: row for row in folds}
    test = of.get("test")
    if test is None:
        return Verdict("", "", ("The test fold is empty: nothing is known of its error.",))
    after = printed_after(unit)
    mae = test.mae
    interval = f", 95 % {number(mae.low)} to {number(mae.high)}" if mae.low == mae.low else ""
    said = []
    if constant:
        than = f"the median of the training targets is off by {number(constant)}{after}"
        if mae.value >= constant:
            said.append(f"No better than a constant: {than}.")
        elif mae.high >= constant:
            said.append(f"Not surely better than a constant: {than}, within the interval.")
        else:
            less = round(100 * (1 - mae.value / constant))
            said.append(f"{less} % less than a constant: {than}.")
    if test.r2 is not None and math.isfinite(test.r2):
        said.append(f"R² = {number(test.r2, 2)}.")
    train = of.get("train")
    if train is not None and train.mae.value < 0.5 * mae.value:
        times = mae.value / train.mae.value if train.mae.value else math.inf
        how = f"{times:.0f} times" if times < 100 else "far more than"
        said.append(
            f"The test error is {how} that on the training materials "
            f"({number(train.mae.value)}{after}), which the model has seen."
        )
    if test.n < LEAST:
        said.append(f"{test.n} test materials are too few for a trustworthy interval.")
    return Verdict(
        headline=f"{number(mae.value)}{after}",
        below=f"mean absolute error of the {property_title(property)} of {test.n:,} test "
        f"materials{interval}",
        sentences=tuple(said),
    )
