"""Small charts of the pages, as numbers to draw: shares, counts, runs over time, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from train.analysis.discrimination import share_estimate

#: Pages with a bar beside a column, and at what value it is full; None at the largest.
BARS: dict[str, tuple[str, float | None]] = {
    "coverage": ("percent", 100.0),
    "snapshots": ("rows", None),
}
#: Pages with counts above their table, and of which columns' values.
COUNTED = {"failures": ("stage", "error"), "quality": ("level", "check")}
#: Columns that come first on a page.
FIRST = {"coverage": ("kind", "name", "percent")}

_MOST_LANES = 14
_WIDTH = 560.0
_LANE = 20


@dataclass(frozen=True)
class Count:
    """A line of a chart of counts; ``share`` is of the largest, from 0 to 1."""

    label: str
    n: int
    share: float


def counts(table: pa.Table, names: Sequence[str]) -> tuple[Count, ...]:
    """How many rows have each combination of values, the most frequent first."""
    grouped = table.group_by(list(names)).aggregate([([], "count_all")]).to_pylist()
    grouped.sort(key=lambda row: -row["count_all"])
    return tuple(
        Count(
            ": ".join(str(row[name]) for name in names),
            row["count_all"],
            row["count_all"] / grouped[0]["count_all"],
        )
        for row in grouped
    )


def shown_columns(name: str, table: pa.Table) -> list[str]:
    """The columns of a page in order, without those that hold nothing."""
    first = FIRST.get(name, ())
    names = [*first, *(one for one in table.column_names if one not in first)]
    return [one for one in names if table[one].null_count < table.num_rows]


def full_bar(name: str, table: pa.Table) -> tuple[str, float]:
    """Beside which column of a page bars stand, and at what value one is full."""
    column, full = BARS.get(name, ("", 1.0))
    if full is None:
        full = max((value for value in table[column].to_pylist() if value), default=1.0)
    return column, float(full)


@dataclass(frozen=True)
class Mark:
    """A run: from ``x`` so wide (of 560), what it is, and whether it finished."""

    x: float
    width: float
    title: str
    finished: bool


@dataclass(frozen=True)
class Timeline:
    """Runs by command over time.

    Parameters
    ----------
    lanes : tuple of (str, tuple of Mark)
        A command, and its runs.
    ticks : tuple of (float, str)
        Where on the axis which moment is.
    height : int
        Of all lanes.
    left_out : int
        Runs of commands beyond the most frequent.
    """

    lanes: tuple[tuple[str, tuple[Mark, ...]], ...]
    ticks: tuple[tuple[float, str], ...]
    height: int
    left_out: int

    @property
    def unfinished(self) -> bool:
        """Whether any has not finished."""
        return any(not mark.finished for _, marks in self.lanes for mark in marks)


def timeline(runs: pa.Table) -> Timeline | None:
    """The runs of a table with started_at, seconds, command and status; None of fewer than two."""
    rows = [row for row in runs.to_pylist() if row["started_at"] is not None]
    if len(rows) < 2:
        return None
    first = min(row["started_at"] for row in rows)
    ends = [row["started_at"].timestamp() + (row["seconds"] or 0.0) for row in rows]
    begun, span = first.timestamp(), max(max(ends) - first.timestamp(), 1.0)
    frequent = [name for name, _ in Counter(row["command"] for row in rows).most_common()]
    names = frequent[:_MOST_LANES]
    lanes: dict[str, list[Mark]] = {name: [] for name in names}
    for row in rows:
        if row["command"] in lanes:
            lanes[row["command"]].append(_mark(row, begun, span))
    return Timeline(
        lanes=tuple((name, tuple(marks)) for name, marks in lanes.items()),
        ticks=_ticks(first, span),
        height=_LANE * len(names),
        left_out=sum(row["command"] not in lanes for row in rows),
    )


def _mark(row: dict[str, Any], begun: float, span: float) -> Mark:
    x = _WIDTH * (row["started_at"].timestamp() - begun) / span
    # What took no time to speak of is seen nevertheless.
    width = max(_WIDTH * (row["seconds"] or 0.0) / span, 3.0)
    took = "" if row["seconds"] is None else f", {row['seconds']:.3g} s"
    title = f"{row['command']}, {row['started_at']:%Y-%m-%d %H:%M}{took}, {row['status']}"
    return Mark(round(min(x, _WIDTH - 3.0), 1), round(width, 1), title, row["status"] == "finished")


def _ticks(first: datetime, span: float) -> tuple[tuple[float, str], ...]:
    """The two ends, and the middle, in words as short as tell them apart."""
    form = "%H:%M" if span < 86400 else "%Y-%m-%d"
    moments = [datetime.fromtimestamp(first.timestamp() + share * span, first.tzinfo)
               for share in (0.0, 0.5, 1.0)]  # fmt: skip
    said = [f"{one:{form}}" for one in moments]
    said[0] = f"{first:%Y-%m-%d %H:%M}" if span < 86400 else said[0]
    return tuple(zip((0.0, _WIDTH / 2, _WIDTH), said, strict=True))


@dataclass(frozen=True)
class Calibrated:
    """A point of a calibration plot: what was said, what came true, both from 0 to 1, of how many.

    ``low`` and ``high`` are the 95 % interval of the share; see `share_estimate`.
    """

    said: float
    right: float
    n: int
    low: float
    high: float


def calibrated(pairs: Sequence[tuple[float, float, int]]) -> tuple[Calibrated, ...]:
    """Points from (said, share that came true, materials), those of no material left out."""
    estimates = [(said, right, n, share_estimate(right * n, n)) for said, right, n in pairs if n]
    return tuple(
        Calibrated(said, right, n, found.low, found.high) for said, right, n, found in estimates
    )
