from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from scipy.stats import binomtest

from explain.explore.charts import calibrated, counts, full_bar, shown_columns, timeline

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def runs(*rows: tuple[int, float | None, str, str]) -> pa.Table:
    """Runs that begun so many seconds after noon, took so long, with their command and status."""
    return pa.Table.from_pylist(
        [
            {
                "started_at": NOON + timedelta(seconds=after),
                "seconds": seconds,
                "command": command,
                "status": status,
            }
            for after, seconds, command, status in rows
        ]
    )


def test_runs_stand_where_they_began_and_are_as_wide_as_they_took() -> None:
    drawn = timeline(
        runs(
            (0, 10.0, "a", "finished"),
            (50, 50.0, "b", "killed"),
            (20, None, "a", "running"),
            (30, 0.0, "a", "finished"),
        )
    )
    assert drawn is not None and drawn.unfinished and drawn.left_out == 0
    lanes = dict(drawn.lanes)
    assert list(lanes) == ["a", "b"], "the most frequent first"
    assert [(mark.x, mark.width) for mark in lanes["b"]] == [(280.0, 280.0)]
    assert [mark.x for mark in lanes["a"]] == [0.0, 112.0, 168.0]
    assert [mark.width for mark in lanes["a"]] == [56.0, 3.0, 3.0], "seen, even if it took no time"
    assert drawn.ticks[0] == (0.0, "2026-11-30 12:00") and drawn.ticks[2][1] == "12:01"
    many = timeline(runs(*((i, 1.0, f"c{i}", "finished") for i in range(20))))
    assert many is not None and len(many.lanes) == 14 and many.left_out == 6
    assert timeline(runs((0, 1.0, "a", "finished"))) is None, "one run is no course of time"


def test_counts_and_bars_are_shares_of_what_they_say() -> None:
    table = pa.table(
        {"stage": ["x", "y", "x"], "error": ["E", "E", "E"], "message": pa.nulls(3, pa.string())}
    )
    assert [(one.label, one.n, one.share) for one in counts(table, ("stage", "error"))] == [
        ("x: E", 2, 1.0),
        ("y: E", 1, 0.5),
    ]
    assert shown_columns("failures", table) == ["stage", "error"], "an empty column says nothing"
    assert full_bar("snapshots", pa.table({"rows": [3, None, 7]})) == ("rows", 7.0)
    assert full_bar("coverage", table) == ("percent", 100.0)
    assert counts(table.slice(0, 0), ("stage", "error")) == ()


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (59, 70)])
def test_a_share_has_the_interval_of_wilson(right: int, n: int) -> None:
    [point] = calibrated([(0.7, right / n, n), (0.9, 0.0, 0)])
    known = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert (point.low, point.high) == pytest.approx((known.low, known.high), abs=1e-4)
