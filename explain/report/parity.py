"""The parity chart of a report: the test materials as points of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from explain.drawing.printed import number
from explain.erasing.rows import StoredPredictions
from explain.report.model import MaterialRow
from featurestore.output.labels import formula_text, property_axis
from featurestore.output.style import density, robust_limits
from featurestore.session import Session
from train.analysis.parity import MOST_INTERVALS, NAMED
from train.models import SeedGroup

Floats = npt.NDArray[np.float64]

_TITLED_POINTS = 3000
#: Shades of points by how many lie near, from few to many.
_SHADES = 4
# The frame in the units of the drawing, and the height of a line of letters.
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 332.0, 6.0, 292.0
_LETTER = 12.0


@dataclass(frozen=True)
class Point:
    """A material in the units of the drawing.

    Parameters
    ----------
    x, y : float
        Its place; at the rim where it lies ``beyond`` the frame.
    shade : int
        From 0, alone, to 3, among many.
    reach : tuple of float, optional
        The ends of its interval on the y axis.
    title : str
        Shown on hover; empty where there are too many points.
    """

    x: float
    y: float
    shade: int
    beyond: bool
    reach: tuple[float, float] | None
    title: str


@dataclass(frozen=True)
class Name:
    """The formula of one of the worst materials: where it begins, or ends if ``left`` of it."""

    x: float
    y: float
    left: bool
    text: str


@dataclass(frozen=True)
class Tick:
    """A value on both axes."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Parity:
    """Predicted against target: points, names and ticks in the units of the drawing."""

    title: str
    points: tuple[Point, ...]
    names: tuple[Name, ...]
    ticks: tuple[Tick, ...]

    @property
    def beyond(self) -> int:
        """How many points lie beyond the frame."""
        return sum(point.beyond for point in self.points)

    @property
    def has_intervals(self) -> bool:
        """Whether intervals are drawn."""
        return any(point.reach for point in self.points)


@dataclass(frozen=True)
class _Frame:
    """Places values between ``low`` and ``high`` in the drawing."""

    low: float
    high: float

    def _share(self, value: float) -> float:
        clipped = min(max(value, self.low), self.high)
        return (clipped - self.low) / (self.high - self.low)

    def across(self, value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * self._share(value), 1)

    def down(self, value: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * self._share(value), 1)

    def holds(self, *values: float) -> bool:
        return all(self.low <= value <= self.high for value in values)


def parity(
    session: Session,
    models: SeedGroup,
    stored: StoredPredictions,
    known: Sequence[MaterialRow],
) -> Parity:
    """Predictions of the test fold, means over the seeds, against targets.

    Parameters
    ----------
    known : sequence of MaterialRow
        The materials of ``stored``, in its order.
    """
    from matplotlib.ticker import MaxNLocator

    test = np.flatnonzero(stored.in_fold("test")).tolist()
    targets, predictions = stored.targets[test], stored.predictions[:, test].mean(axis=0)
    frame = _Frame(*robust_limits(np.concatenate([targets, predictions]), reach=1.5))
    rows = [known[int(i)] for i in test]
    shades = _shades(np.clip(targets, frame.low, frame.high), predictions)
    reaches = _intervals(session, models, [row.material_id for row in rows])
    points = tuple(
        Point(
            x=frame.across(row.target),
            y=frame.down(row.prediction),
            shade=int(shade),
            beyond=not frame.holds(row.target, row.prediction),
            reach=None if reach is None else (frame.down(reach[0]), frame.down(reach[1])),
            title=_title(row) if len(rows) <= _TITLED_POINTS else "",
        )
        for row, shade, reach in zip(rows, shades, reaches, strict=True)
    )
    worst = sorted(range(len(rows)), key=lambda i: -abs(rows[i].error))[:NAMED]
    p = models.parameters
    return Parity(
        title=f"Prediction against target of {property_axis(p.property, p.unit)}, "
        f"{len(rows):,} test materials",
        points=points,
        names=_names([(points[i], rows[i]) for i in worst]),
        ticks=tuple(
            Tick(frame.across(value), frame.down(value), f"{value:.6g}".replace("-", "−"))
            for value in MaxNLocator(5).tick_values(frame.low, frame.high)
            if frame.holds(value)
        ),
    )


def _title(row: MaterialRow) -> str:
    return (
        f"{formula_text(row.formula)}, {row.material_id}: target {number(row.target)}, "
        f"prediction {number(row.prediction)}"
    )


def _shades(x: Floats, y: Floats) -> npt.NDArray[np.int64]:
    near = np.log1p(density(x, y, bins=40))
    # Where hardly any has a neighbour all are alike.
    return np.asarray(_SHADES * near / (max(near.max(), np.log1p(3)) * 1.0001), np.int64)


def _intervals(
    session: Session, models: SeedGroup, material_ids: Sequence[str]
) -> list[tuple[float, float] | None]:
    """The interval of each material, its ends means over the seeds; None where there is none."""
    if len(material_ids) > MOST_INTERVALS:
        return [None] * len(material_ids)
    rows = session.query(
        "SELECT material_id, avg(lower) AS lower, avg(upper) AS upper FROM predictions "
        "WHERE list_contains(?, model_id) AND fold = 'test' AND lower IS NOT NULL "
        "GROUP BY material_id",
        [models.model_ids],
    ).to_pylist()
    of = {row["material_id"]: (row["lower"], row["upper"]) for row in rows}
    return [of.get(material_id) for material_id in material_ids]


def _names(worst: Sequence[tuple[Point, MaterialRow]]) -> tuple[Name, ...]:
    """Beside the points, from the top down, none on another of its side."""
    found, lowest = [], {True: -np.inf, False: -np.inf}
    for point, row in sorted(worst, key=lambda one: one[0].y):
        left = point.x > (_LEFT + _RIGHT) / 2
        y = max(point.y + 4, lowest[left] + _LETTER)
        lowest[left] = y
        found.append(Name(point.x + (-6 if left else 6), y, left, formula_text(row.formula)))
    return tuple(found)
