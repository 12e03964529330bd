"""The charts of a report on classes: how often probabilities come true, and ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explain.drawing.printed import number
from train.analysis.discrimination import area_estimate, roc_points, share_estimate
from train.tasks.class_metrics import calibration_bins, calibration_error

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# The frame in the units of the drawing, as that of the parity chart.
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 332.0, 6.0, 292.0
_LARGEST, _LEAST = 9.0, 2.5
#: Curves that can be told apart without colours: two colours, three kinds of lines.
_MOST_CURVES = 6


def _across(share: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * share, 1)


def _down(share: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * share, 1)


@dataclass(frozen=True)
class Bin:
    """Materials of about the same probability: a dot in the drawing, and its interval."""

    x: float
    y: float
    radius: float
    reach: tuple[float, float]
    title: str


@dataclass(frozen=True)
class Reliability:
    """How often the most probable class is true, by its probability; ``error`` is the ECE."""

    bins: tuple[Bin, ...]
    error: float
    n: int


@dataclass(frozen=True)
class Curve:
    """The ROC curve of a class against the rest: an SVG path, and the look of its line."""

    name: str
    path: str
    look: str
    area: float


def ticks() -> tuple[tuple[float, float, str], ...]:
    """Where the marks of 0 to 1 are on both axes, with what they say."""
    return tuple((_across(x), _down(x), f"{x:g}") for x in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))


def reliability(true: Ints, probabilities: Floats) -> Reliability:
    """Bins of `calibration_bins` with Wilson's intervals.

    Parameters
    ----------
    true : ndarray, shape (n,), int64
        Places of the true classes.
    probabilities : ndarray, shape (n, k), float64
        Of all classes.
    """
    bins, n = calibration_bins(true, probabilities), len(true)
    found = []
    for one in bins:
        share = share_estimate(round(one["accuracy"] * one["n"]), one["n"])
        found.append(
            Bin(
                x=_across(one["confidence"]),
                y=_down(one["accuracy"]),
                radius=round(max(_LARGEST * (one["n"] / n) ** 0.5, _LEAST), 1),
                reach=(_down(share.low), _down(share.high)),
                title=f"{one['n']:,} materials: probability {number(one['confidence'])}, "
                f"true for {number(one['accuracy'])}",
            )
        )
    return Reliability(tuple(found), calibration_error(bins), n)


def curves(true: Ints, probabilities: Floats, classes: Sequence[str]) -> tuple[Curve, ...]:
    """Of two classes that of the second, of more each against the rest; of many the six worst."""
    found = []
    for place, name in enumerate(classes):
        area = area_estimate(true == place, probabilities[:, place])
        if area is not None and (len(classes) > 2 or place == 1):
            found.append((area.value, place, name))
    shown = sorted(found)[:_MOST_CURVES]
    return tuple(
        Curve(
            name=name,
            path=_path(roc_points(true == place, probabilities[:, place])),
            look=f"{('blue', 'orange')[rank % 2]}{('', ' dashed', ' dotted')[rank // 2]}",
            area=area,
        )
        for rank, (area, place, name) in enumerate(sorted(shown, key=lambda one: one[1]))
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_across(x)} {_down(y)}" for x, y in points)
