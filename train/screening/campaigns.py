"""Campaigns on known targets as values: how they were run, what was picked, what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.classes import shown_unit
from featurestore.errors import InvalidInputError
from featurestore.output.display import Showing, Shown, figure_html
from train.analysis.resampling import LEVEL, Estimate
from train.screening.names import GREEDY, RANDOM

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

Floats = npt.NDArray[np.float64]

#: Known materials without which no process is trained.
FEWEST_KNOWN = 10
#: How many of the best are sought if nothing else is said.
TOP = 10


@dataclass(frozen=True)
class CampaignPlan:
    """What campaigns have in common.

    Parameters
    ----------
    known : int
        Random materials whose target is known at the start.
    picks : int
        How many are picked.
    batch : int
        How many at once, before the process is trained again.
    starts : int
        Random starts, each the same for all rules.
    top : int, optional
        How many of the best of the pool are sought, 10 by default. Of classes all of the pool.
    smallest : bool
        Whether the best have the smallest target, rather than the largest.
    classes : sequence of str
        Of a property of classes those whose materials are sought.

    Raises
    ------
    InvalidInputError
        If a number is too small, or what is sought are both classes and the best.
    """

    known: int = 50
    picks: int = 100
    batch: int = 10
    starts: int = 5
    top: int | None = None
    smallest: bool = False
    classes: Sequence[str] = ()

    def __post_init__(self) -> None:
        least = {"known": FEWEST_KNOWN, "picks": 1, "batch": 1, "starts": 2, "top": 1}
        for name, number in least.items():
            given = getattr(self, name)
            if given is not None and given < number:
                raise InvalidInputError(
                    f"{name} of a campaign must be {number} or more, not {given}"
                )
        if self.classes and (self.smallest or self.top is not None):
            raise InvalidInputError(
                f"all materials of the class {', '.join(self.classes)} are sought: classes have no "
                "best or smallest ones, leave top and smallest out"
            )

    @property
    def sought(self) -> int:
        """How many of the best are sought, of numbers."""
        return TOP if self.top is None else self.top


@dataclass(frozen=True, eq=False)
class Campaign:
    """One start, picked from by one rule.

    Parameters
    ----------
    rule : str
        Of `REPLAYED`.
    start : int
        Seed of the known materials.
    picked : tuple of str
        Materials in the order in which they were picked.
    found : ndarray, shape (picks + 1,), int64
        How many of those sought are among the first k that were picked.
    best : ndarray, shape (picks + 1,), float64, or None
        The best target that is known then; None of classes.
    pool : int
        How many of those sought the pool had.
    """

    rule: str
    start: int
    picked: tuple[str, ...] = field(repr=False)
    found: npt.NDArray[np.int64] = field(repr=False)
    best: Floats | None = field(repr=False)
    pool: int


@dataclass(frozen=True, repr=False, eq=False)
class Replay(Shown):
    """Campaigns of several rules from the same starts.

    Parameters
    ----------
    target, unit : str
        The property that is sought.
    n : int
        Materials.
    plan : CampaignPlan
        How they were run.
    campaigns : tuple of Campaign
        By rule, then by start.
    tied : int
        How many more than are sought are as good as the last of the best, at most in any start.
    """

    target: str
    unit: str
    n: int
    plan: CampaignPlan
    campaigns: tuple[Campaign, ...] = field(repr=False)
    tied: int

    @property
    def rules(self) -> list[str]:
        """The rules, in order."""
        return list(dict.fromkeys(one.rule for one in self.campaigns))

    def found(self, rule: str) -> npt.NDArray[np.int64]:
        """How many of the best were found, shape (starts, picks + 1)."""
        return np.stack([one.found for one in self.campaigns if one.rule == rule])

    @property
    def table(self) -> pa.Table:
        """rule, start, picks, found, best (of numbers) and the material, a row for each pick."""
        rows = [
            {
                "rule": one.rule,
                "start": one.start,
                "picks": k,
                "material_id": one.picked[k - 1] if k else None,
                "found": int(one.found[k]),
                "best": None if one.best is None else float(one.best[k]),
            }
            for one in self.campaigns
            for k in range(len(one.found))
        ]
        table = pa.Table.from_pylist(rows, schema=_SCHEMA)
        return table.drop_columns(["best"]) if self.plan.classes else table

    @property
    def by_chance(self) -> float:
        """How many of those sought as many random picks find on average."""
        sought = float(np.mean([one.pool for one in self.campaigns]))
        return sought * self.plan.picks / (self.n - self.plan.known)

    @property
    def summary(self) -> pa.Table:
        """For each rule how many it found in the end, with 95 % intervals over the starts.

        ``over random`` and ``over greedy`` are differences between campaigns from the same start.
        """
        last = {rule: self.found(rule)[:, -1].astype(np.float64) for rule in self.rules}
        columns: dict[str, list[str]] = {
            "rule": list(last),
            "found": [_said(mean_of(values)) for values in last.values()],
            "of each start": [", ".join(f"{value:.0f}" for value in one) for one in last.values()],
        }
        for other in (RANDOM, GREEDY):
            if other in last:
                columns[f"over {other}"] = [
                    "" if rule == other else _said(mean_of(values - last[other]), sign="+")
                    for rule, values in last.items()
                ]
        return pa.table(columns)

    def remarks(self) -> list[str]:
        """Sentences below the table."""
        s, pool = self.plan, self.n - self.plan.known
        end = "smallest" if s.smallest else "largest"
        what = (
            f"the {s.sought} materials with the {end} {self.target} among the {pool:,} of the pool"
        )
        if s.classes:
            sizes = sorted({one.pool for one in self.campaigns})
            several = f"{sizes[0]:,} to {sizes[-1]:,}" if len(sizes) > 1 else f"{sizes[0]:,}"
            what = (
                f"the {several} materials of the class {' or '.join(s.classes)} among the {pool:,} "
                "of the pool"
            )
        found = [
            f"found: how many of {what} are picked in {s.picks}, {s.batch} at once; by chance it "
            f"is {self.by_chance:.2g}; mean of {s.starts} starts with the 95 % t interval over "
            "these"
        ]
        if self.tied:
            found.append(
                f"up to {self.tied:,} more materials are as good as the last of the {s.sought}; "
                "any of them counts"
            )
        return found

    def showing(self) -> Showing:
        """The summary."""
        s = self.plan
        facts = {
            "target": f"{self.target} ({shown_unit(self.unit)})",
            "materials": f"{self.n:,}, {s.known:,} known at the start",
        }
        title = "Replayed campaigns"
        return Showing(
            title,
            facts,
            self.summary,
            tuple(self.remarks()),
            lambda: figure_html(self.figure(), title),
        )

    def figure(self) -> Figure:
        """What is found after how many picks, see `train.screening.replay_figure`."""
        from train.screening.replay_figure import replay_figure

        return replay_figure(self)


_SCHEMA = pa.schema(
    [
        ("rule", pa.string()),
        ("start", pa.int64()),
        ("picks", pa.int64()),
        ("material_id", pa.string()),
        ("found", pa.int64()),
        ("best", pa.float64()),
    ]
)


def mean_of(values: Floats) -> Estimate:
    """The mean of two or more values, shape (n,), with Student's t interval."""
    from scipy.stats import t

    mean = float(values.mean())
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return Estimate(mean, mean - half, mean + half)


def _said(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.value:{sign}.1f} ({estimate.low:.1f} to {estimate.high:.1f})"
