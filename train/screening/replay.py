"""Campaigns on known targets: how soon a rule would have found the best materials, or a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from featurestore.classes import place_of, shown_unit
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.output.progress import progress_bar
from featurestore.views.view import TrainingView
from train.predictors.ensemble.projection import Projection
from train.screening.campaigns import Campaign, CampaignPlan, Floats, Replay
from train.screening.names import (
    GREEDY,
    IMPROVEMENT,
    PROBABILITY,
    RANDOM,
    REPLAYED,
    UPPER_BOUND,
    USUAL,
    USUAL_OF_CLASSES,
)
from train.screening.rules import Outlook, scores
from train.screening.surrogate import predictive
from train.screening.wants import LARGEST, SMALLEST, Want

Rows = npt.NDArray[np.int64]

# Partly whitened: on few rows that ranks better than components at their sizes.
_COLUMN_POWER, _COMPONENT_POWER = 0.5, 0.2


@dataclass(frozen=True, eq=False)
class _Setting:
    """What all campaigns see: inputs with their segments, and targets, of classes 0 or 1."""

    inputs: Floats = field(repr=False)
    segments: Sequence[slice]
    targets: Floats = field(repr=False)
    names: Sequence[str] = field(repr=False)
    plan: CampaignPlan

    def sought(self, pool: Rows) -> frozenset[int]:
        """The rows of the pool that are sought: of numbers as good as the last of the best."""
        values = -self.targets[pool] if self.plan.smallest else self.targets[pool]
        last = 1.0 if self.plan.classes else np.sort(values)[::-1][self.plan.sought - 1]
        return frozenset(pool[values >= last].tolist())


def replay(
    view: TrainingView,
    plan: CampaignPlan | None = None,
    rules: Sequence[str] = (),
) -> Replay:
    """Replay campaigns: known materials, a process, a batch by the rule, its targets, and again.

    Of a property of classes the materials of one or several classes are sought, as many as can be:
    active search (Garnett et al., Proc. ICML 2012). The process learns whether a material is of
    them, as 0 and 1, by least squares (Rasmussen and Williams 2006, section 6.5). ``greedy`` picks
    those with the highest value, which is the best there is if the next batch is the last;
    ``upper-bound`` those whose value may be high; ``probability`` those that are most surely above
    one half.

    Parameters
    ----------
    view : TrainingView
        Features and targets of all materials; folds play no part.
    plan : CampaignPlan, optional
        How many start, are picked and are sought; of classes which.
    rules : sequence of str
        Of `REPLAYED`; by default expected-improvement (of classes upper-bound), greedy and random.

    Raises
    ------
    UnknownNameError
        If there is no such rule or class.
    InvalidInputError
        If a rule is named twice, or does not suit classes; the materials are too few; classes are
        sought of numbers, or none of classes.
    """
    plan = plan or CampaignPlan()
    rules = rules or (USUAL_OF_CLASSES if plan.classes else USUAL)
    _check(view, plan, rules)
    features = np.asarray(view.features, dtype=np.float32)
    segments = [(block.name, block.start, block.stop) for block in view.blocks]
    # Of the pool the features are known from the start, the targets are not.
    projection = Projection.of(features, segments, _COLUMN_POWER, _COMPONENT_POWER)
    setting = _Setting(
        projection(features), projection.slices, _targets(view, plan), view.material_ids, plan
    )
    campaigns, tied = [], 0
    with progress_bar(len(rules) * plan.starts, "replay", "campaigns") as progress:
        for rule in rules:
            for start in range(plan.starts):
                order = np.random.default_rng(start).permutation(len(view))
                known, pool = order[: plan.known], np.sort(order[plan.known :])
                sought = setting.sought(pool)
                if not plan.classes:
                    tied = max(tied, len(sought) - plan.sought)
                picked = _picked(rule, start, setting, known)
                campaigns.append(_campaign(rule, start, setting, picked, known, sought))
                progress.update()
    p = view.parameters
    return Replay(
        target=p.property,
        unit=p.unit,
        n=len(view),
        plan=plan,
        campaigns=tuple(campaigns),
        tied=tied,
    )


def _check(view: TrainingView, plan: CampaignPlan, rules: Sequence[str]) -> None:
    name, classes = view.parameters.property, view.parameters.classes
    if classes and not plan.classes:
        raise InvalidInputError(
            f"{name} has the classes {shown_unit(view.parameters.unit)}, of which none is the "
            f"largest: say which is sought, as with --class {classes[-1]}"
        )
    if plan.classes and not classes:
        raise InvalidInputError(
            f"{name} has numbers in {view.parameters.unit} and no class {plan.classes[0]!r}: its "
            "largest values are sought, or its smallest"
        )
    for rule in rules:
        if rule not in REPLAYED:
            raise UnknownNameError("rule", rule, REPLAYED)
        if classes and rule == IMPROVEMENT:
            raise InvalidInputError(
                f"the rule {rule!r} improves on the best value, and classes have none; take "
                f"{UPPER_BOUND!r} or {PROBABILITY!r}"
            )
    if len(set(rules)) < len(rules):
        raise InvalidInputError("name rules to replay, each once: " + ", ".join(REPLAYED))
    most = plan.picks if classes else max(plan.picks, plan.sought)
    if len(view) < plan.known + most:
        raise InvalidInputError(
            f"{len(view):,} materials have {name} and all features; "
            f"{plan.known:,} known ones and {most:,} to pick or to find make "
            f"{plan.known + most:,}: make these fewer"
        )
    if not view.features.shape[1]:
        raise InvalidInputError("campaigns learn from vectors: name features, as an encoder")


def _targets(view: TrainingView, plan: CampaignPlan) -> Floats:
    """The targets; of classes whether each is one of those that are sought, as 0 or 1."""
    targets = np.asarray(view.rows["target"].to_numpy(), dtype=np.float64)
    if not plan.classes:
        return targets
    p = view.parameters
    places = {place_of(name, p.unit, p.property) for name in plan.classes}
    inside = np.isin(targets, sorted(places))
    if inside.all() or not inside.any():
        whether = "all" if inside.all() else "none"
        raise InvalidInputError(
            f"{whether} of the {len(targets):,} materials are of the class "
            f"{' or '.join(plan.classes)}: there is nothing to seek"
        )
    return inside.astype(np.float64)


def _picked(rule: str, start: int, setting: _Setting, known: Rows) -> list[int]:
    """The rows in the order in which they are picked."""
    generator = np.random.default_rng([start, 1])
    found: list[int] = []
    while len(found) < setting.plan.picks:
        rest = np.setdiff1d(np.arange(len(setting.targets)), known)
        size = min(setting.plan.batch, setting.plan.picks - len(found))
        if rule == RANDOM:
            batch = generator.permutation(rest)[:size]
        else:
            worth = _worth(rule, setting, known, rest)
            # of equals the choice is random
            shuffled = generator.permutation(len(rest))
            batch = rest[shuffled[np.argsort(-worth[shuffled], kind="stable")[:size]]]
        found += batch.tolist()
        known = np.concatenate([known, batch])
    return found


def _worth(rule: str, setting: _Setting, known: Rows, rest: Rows) -> Floats:
    plan, targets = setting.plan, setting.targets[known]
    if np.ptp(targets) == 0:  # nothing to tell apart yet
        return np.zeros(len(rest))
    values, scaled = predictive(setting.inputs, setting.segments, known, targets, rest)
    if rule == GREEDY:
        return -values.centre if plan.smallest else values.centre
    if plan.classes and rule == PROBABILITY:
        return np.asarray(ndtr((values.centre - (scaled.min() + scaled.max()) / 2) / values.scale))
    goal = SMALLEST if plan.smallest else LARGEST
    best = float(scaled.min() if plan.smallest else scaled.max())
    return scores(rule, [Outlook(Want("target", goal=goal), values, best, 1.0)])


def _campaign(
    rule: str,
    start: int,
    setting: _Setting,
    picked: Sequence[int],
    known: Rows,
    sought: frozenset[int],
) -> Campaign:
    plan, targets = setting.plan, setting.targets
    hits = np.cumsum([0, *(row in sought for row in picked)])
    best = None
    if not plan.classes:
        extreme, running = (
            (np.min, np.minimum.accumulate) if plan.smallest else (np.max, np.maximum.accumulate)
        )
        best = running(np.concatenate([[extreme(targets[known])], targets[list(picked)]]))
    return Campaign(
        rule=rule,
        start=start,
        picked=tuple(setting.names[row] for row in picked),
        found=hits if plan.classes else np.minimum(hits, plan.sought),
        best=best,
        pool=len(sought) if plan.classes else plan.sought,
    )
