"""Campaigns on known targets: how soon a rule would have found the best materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.output.display import Showing, Shown, figure_html
from featurestore.output.progress import progress_bar
from featurestore.views.view import TrainingView
from train.analysis.resampling import LEVEL, Estimate
from train.predictors.ensemble.projection import Projection
from train.screening.names import GREEDY, RANDOM, REPLAYED, USUAL
from train.screening.rules import Outlook, scores
from train.screening.surrogate import predictive
from train.screening.wants import LARGEST, SMALLEST, Want

if TYPE_CHECKING:
    from featurestore.output.figure import Figure

Floats = npt.NDArray[np.float64]

# Partly whitened: on few rows that ranks better than components at their sizes.
_COLUMN_POWER, _COMPONENT_POWER = 0.5, 0.2
#: Known materials without which no process is trained.
FEWEST_KNOWN = 10


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
    top : int
        How many of the best of the pool are sought.
    smallest : bool
        Whether the best have the smallest target, rather than the largest.

    Raises
    ------
    InvalidInputError
        If a number is too small.
    """

    known: int = 50
    picks: int = 100
    batch: int = 10
    starts: int = 5
    top: int = 10
    smallest: bool = False

    def __post_init__(self) -> None:
        least = {"known": FEWEST_KNOWN, "picks": 1, "batch": 1, "starts": 2, "top": 1}
        for name, number in least.items():
            if getattr(self, name) < number:
                raise InvalidInputError(
                    f"{name} of a campaign must be {number} or more, not {getattr(self, name)}"
                )


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
        How many of the best are among the first k that were picked.
    best : ndarray, shape (picks + 1,), float64
        The best target that is known then.
    """

    rule: str
    start: int
    picked: tuple[str, ...] = field(repr=False)
    found: npt.NDArray[np.int64] = field(repr=False)
    best: Floats = field(repr=False)


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
        """rule, start, picks, found, best and the material picked, a row for each pick."""
        rows = [
            {
                "rule": one.rule,
                "start": one.start,
                "picks": k,
                "material_id": one.picked[k - 1] if k else None,
                "found": int(one.found[k]),
                "best": float(one.best[k]),
            }
            for one in self.campaigns
            for k in range(len(one.found))
        ]
        return pa.Table.from_pylist(rows, schema=_SCHEMA)

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
        s = self.plan
        pool = self.n - s.known
        chance = s.top * s.picks / pool
        end = "smallest" if s.smallest else "largest"
        found = [
            f"found: how many of the {s.top} materials with the {end} {self.target} among the "
            f"{pool:,} of the pool are picked in {s.picks}, {s.batch} at once; by chance it is "
            f"{chance:.2g}; mean of {s.starts} starts with the 95 % t interval over these"
        ]
        if self.tied:
            found.append(
                f"up to {self.tied:,} more materials are as good as the last of the {s.top}; any "
                "of them counts"
            )
        return found

    def showing(self) -> Showing:
        """The summary."""
        s = self.plan
        facts = {
            "target": f"{self.target} ({self.unit})",
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


def replay(
    view: TrainingView,
    plan: CampaignPlan | None = None,
    rules: Sequence[str] = USUAL,
) -> Replay:
    """Replay campaigns: known materials, a process, a batch by the rule, its targets, and again.

    Parameters
    ----------
    view : TrainingView
        Features and targets of all materials; folds play no part.
    plan : CampaignPlan, optional
        How many start, are picked and are sought.
    rules : sequence of str
        Of `REPLAYED`.

    Raises
    ------
    UnknownNameError
        If there is no such rule.
    InvalidInputError
        If no rule is named, one twice, the materials are too few, or the property has classes.
    """
    plan = plan or CampaignPlan()
    _check(view, plan, rules)
    features = np.asarray(view.features, dtype=np.float32)
    segments = [(block.name, block.start, block.stop) for block in view.blocks]
    # Of the pool the features are known from the start, the targets are not.
    projection = Projection.of(features, segments, _COLUMN_POWER, _COMPONENT_POWER)
    inputs = projection(features)
    targets = view.rows["target"].to_numpy().astype(np.float64)
    names = view.material_ids
    campaigns, tied = [], 0
    with progress_bar(len(rules) * plan.starts, "replay", "campaigns") as progress:
        for rule in rules:
            for start in range(plan.starts):
                order = np.random.default_rng(start).permutation(len(targets))
                known, pool = order[: plan.known], np.sort(order[plan.known :])
                best = _best(targets, pool, plan)
                tied = max(tied, len(best) - plan.top)
                picked = _picked(rule, start, inputs, projection.slices, targets, known, plan)
                campaigns.append(_campaign(rule, start, picked, known, best, targets, names, plan))
                progress.update()
    p = view.parameters
    return Replay(
        target=p.property,
        unit=p.unit,
        n=len(targets),
        plan=plan,
        campaigns=tuple(campaigns),
        tied=tied,
    )


def _check(view: TrainingView, plan: CampaignPlan, rules: Sequence[str]) -> None:
    if view.parameters.classes:
        raise InvalidInputError(
            f"{view.parameters.property} has classes, of which none is the largest: replay a "
            "property of numbers"
        )
    for rule in rules:
        if rule not in REPLAYED:
            raise UnknownNameError("rule", rule, REPLAYED)
    if not rules or len(set(rules)) < len(rules):
        raise InvalidInputError("name rules to replay, each once: " + ", ".join(REPLAYED))
    most = max(plan.picks, plan.top)
    if len(view) < plan.known + most:
        raise InvalidInputError(
            f"{len(view):,} materials have {view.parameters.property} and all features; "
            f"{plan.known:,} known ones and {most:,} to pick or to find make "
            f"{plan.known + most:,}: make these fewer"
        )
    if not view.features.shape[1]:
        raise InvalidInputError("campaigns learn from vectors: name features, as an encoder")


def _best(targets: Floats, pool: npt.NDArray[np.int64], plan: CampaignPlan) -> frozenset[int]:
    """The rows of the pool that are as good as the last that is sought."""
    values = -targets[pool] if plan.smallest else targets[pool]
    last = np.sort(values)[::-1][plan.top - 1]
    return frozenset(pool[values >= last].tolist())


def _picked(
    rule: str,
    start: int,
    inputs: Floats,
    segments: Sequence[slice],
    targets: Floats,
    known: npt.NDArray[np.int64],
    plan: CampaignPlan,
) -> list[int]:
    """The rows in the order in which they are picked."""
    generator = np.random.default_rng([start, 1])
    found: list[int] = []
    while len(found) < plan.picks:
        rest = np.setdiff1d(np.arange(len(targets)), known)
        size = min(plan.batch, plan.picks - len(found))
        if rule == RANDOM:
            batch = generator.permutation(rest)[:size]
        else:
            worth = _worth(rule, inputs, segments, targets, known, rest, plan)
            # of equals the choice is random
            shuffled = generator.permutation(len(rest))
            batch = rest[shuffled[np.argsort(-worth[shuffled], kind="stable")[:size]]]
        found += batch.tolist()
        known = np.concatenate([known, batch])
    return found


def _worth(
    rule: str,
    inputs: Floats,
    segments: Sequence[slice],
    targets: Floats,
    known: npt.NDArray[np.int64],
    rest: npt.NDArray[np.int64],
    plan: CampaignPlan,
) -> Floats:
    values, scaled = predictive(inputs, segments, known, targets[known], rest)
    if rule == GREEDY:
        return -values.centre if plan.smallest else values.centre
    goal = SMALLEST if plan.smallest else LARGEST
    best = float(scaled.min() if plan.smallest else scaled.max())
    return scores(rule, [Outlook(Want("target", goal=goal), values, best, 1.0)])


def _campaign(
    rule: str,
    start: int,
    picked: Sequence[int],
    known: npt.NDArray[np.int64],
    best: frozenset[int],
    targets: Floats,
    names: Sequence[str],
    plan: CampaignPlan,
) -> Campaign:
    hits = np.cumsum([0, *(row in best for row in picked)])
    values = np.concatenate([[_extreme(targets[known], plan)], targets[list(picked)]])
    running = np.minimum.accumulate if plan.smallest else np.maximum.accumulate
    return Campaign(
        rule=rule,
        start=start,
        picked=tuple(names[row] for row in picked),
        found=np.minimum(hits, plan.top),
        best=running(values),
    )


def _extreme(values: Floats, plan: CampaignPlan) -> float:
    return float(values.min() if plan.smallest else values.max())


def mean_of(values: Floats) -> Estimate:
    """The mean of two or more values, shape (n,), with Student's t interval."""
    from scipy.stats import t

    mean = float(values.mean())
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return Estimate(mean, mean - half, mean + half)


def _said(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.value:{sign}.1f} ({estimate.low:.1f} to {estimate.high:.1f})"
