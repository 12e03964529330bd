"""What a report says first: how far off the model is, and what that is to be compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explain.drawing.printed import number
from explain.report.class_errors import ClassErrors
from explain.report.model import FoldRow
from featurestore.output.labels import printed_after, property_title
from train.analysis.groups import LEAST


@dataclass(frozen=True)
class Verdict:
    """The error in large letters, and a few sentences on it.

    Parameters
    ----------
    headline : str
        The test MAE with its unit, or the Brier score; empty without a test fold.
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
        return _UNTESTED
    after = printed_after(unit)
    said = []
    if constant:
        than = f"the median of the training targets is off by {number(constant)}{after}"
        said.append(_against_constant(test, constant, than))
    r2 = test.measures["r2"]
    if r2 is not None and math.isfinite(r2):
        said.append(f"R² = {number(r2, 2)}.")
    said += _cautions(of, test, f"error is {{}} that on the training materials ({{}}{after})")
    return Verdict(
        headline=f"{number(test.error.value)}{after}",
        below=f"mean absolute error of the {property_title(property)} of {test.n:,} test "
        f"materials{_interval(test)}",
        sentences=tuple(said),
    )


def class_verdict(
    folds: Sequence[FoldRow], constant: float | None, property: str, errors: ClassErrors | None
) -> Verdict:
    """The verdict on a model of classes.

    Parameters
    ----------
    folds : sequence of FoldRow
        Its errors.
    constant : float or None
        The test Brier score of the classes' shares among the training materials.
    property : str
        What is predicted.
    errors : ClassErrors or None
        Of the test fold; None where it is empty.
    """
    of = {row.fold: row for row in folds}
    test = of.get("test")
    if test is None or errors is None:
        return _UNTESTED
    said = []
    if constant:
        than = f"the classes' shares among the training materials have {number(constant)}"
        said.append(_against_constant(test, constant, than))
    auc, accuracy = test.measures["auc"], test.measures["accuracy"]
    if auc is not None:
        each = "" if len(errors.classes) == 2 else ", mean of each class against the rest"
        said.append(f"AUC = {number(auc)}{each}.")
    if accuracy is not None:
        most = max(errors.rows, key=lambda row: row.n)
        said.append(
            f"Accuracy {number(100 * accuracy)} %; calling all of them '{most.name}' would have "
            f"{number(100 * most.n / test.n)} %."
        )
    if errors.covered is not None and errors.set_size is not None:
        said.append(
            f"The 90 % sets hold the class of {number(100 * errors.covered)} %, with "
            f"{number(errors.set_size)} classes on average."
        )
    said += _cautions(of, test, "score is {} that on the training materials ({})")
    return Verdict(
        headline=number(test.error.value),
        below=f"Brier score of {property_title(property)} of {test.n:,} test "
        f"materials{_interval(test)}",
        sentences=tuple(said),
    )


_UNTESTED = Verdict("", "", ("The test fold is empty: nothing is known of its error.",))


def _interval(test: FoldRow) -> str:
    e = test.error
    return f", 95 % {number(e.low)} to {number(e.high)}" if e.low == e.low else ""


def _against_constant(test: FoldRow, constant: float, than: str) -> str:
    if test.error.value >= constant:
        return f"No better than a constant: {than}."
    if test.error.high >= constant:
        return f"Not surely better than a constant: {than}, within the interval."
    less = round(100 * (1 - test.error.value / constant))
    return f"{less} % less than a constant: {than}."


def _cautions(of: Mapping[str, FoldRow], test: FoldRow, error_is: str) -> list[str]:
    """What to mind: that training materials are known better, that the test fold is small."""
    said = []
    train, error = of.get("train"), test.error.value
    if train is not None and train.error.value < 0.5 * error:
        times = error / train.error.value if train.error.value else math.inf
        how = f"{times:.0f} times" if times < 100 else "far more than"
        than = error_is.format(how, number(train.error.value))
        said.append(f"The test {than}, which the model has seen.")
    if test.n < LEAST:
        said.append(f"{test.n} test materials are too few for a trustworthy interval.")
    return said
