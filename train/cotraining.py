"""Co-training: two models that see different sides of a material label what the other is unsure of.

A. Blum and T. Mitchell, "Combining labeled and unlabeled data with co-training" (COLT 1998), for
numbers as in Z.-H. Zhou and M. Li (IJCAI 2005), with the confidence that the models state. In each
round each model is given, as if they were known, the other's predictions of materials of which the
other is sure and it is not. Self-training, each model by its own predictions, is the control.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.output.progress import Progress
from train.predictors.base import Examples, Fitted

Floats = npt.NDArray[np.float64]
OTHER, ITSELF = "other", "itself"
_FEWEST = 20


class Teaching(Protocol):
    """A recipe whose predictors say how sure they are: `ensemble`."""

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Train."""
        ...


@dataclass(frozen=True, eq=False)
class Side:
    """What one of the models sees: features by part, float32 of shapes (n, width).

    Parameters
    ----------
    train, val, test, unlabelled : ndarray
        In the same order of materials as the other side's.
    segments : tuple of (str, int, int)
        As in `Examples`.
    """

    train: npt.NDArray[np.float32]
    val: npt.NDArray[np.float32]
    test: npt.NDArray[np.float32]
    unlabelled: npt.NDArray[np.float32]
    segments: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class Rules:
    """How labels are passed on.

    Parameters
    ----------
    teacher : {"other", "itself"}
        Whose predictions a model learns from.
    rounds : int
        Most rounds.
    sure : float
        Share of the unlabelled materials that a teacher counts as sure of, those with its smallest
        standard deviations.
    share : float
        Labels passed to each model in a round, as a share of the known ones.
    """

    teacher: str = OTHER
    rounds: int = 3
    sure: float = 0.25
    share: float = 0.1

    def __post_init__(self) -> None:
        if self.teacher not in (OTHER, ITSELF):
            raise InvalidInputError(f"the teacher is {OTHER!r} or {ITSELF!r}, not {self.teacher!r}")
        if not (0 < self.sure <= 1 and self.share > 0 and self.rounds >= 0):
            raise InvalidInputError(
                f"shares lie above 0, that of the sure up to 1, and rounds from 0: {self}"
            )


@dataclass(frozen=True, eq=False)
class Round:
    """The state after a round; number 0 is what the known labels teach.

    Parameters
    ----------
    number : int
    labels : int
        Passed on so far, to both models together.
    val_mae : float
        Of the mean of both predictions, by which it is decided when to stop.
    predictions : dict of str to ndarray
        "structure", "text" and "both": of the test materials, float64 of shape (n,).
    """

    number: int
    labels: int
    val_mae: float
    predictions: Mapping[str, Floats]


def co_train(
    sides: Mapping[str, Side],
    targets: Mapping[str, Floats],
    recipe: Teaching,
    rules: Rules,
    seed: int,
    progress: Progress,
) -> list[Round]:
    """Train by rounds, until one has no lower validation error than the one before.

    Parameters
    ----------
    sides : mapping
        "structure" and "text".
    targets : mapping
        "train" and "val": float64 of shape (n,).
    recipe : Teaching
        It must not learn from the validation rows, which decide when to stop.
    rules : Rules
    seed : int
        Of every training.
    progress : Progress
        Told of the recipe's epochs.

    Returns
    -------
    list of Round
        The best is the last but one where it stopped early; `best_round` names it.

    Raises
    ------
    MissingDataError
        If fewer than 20 materials have no label.
    InvalidInputError
        If the recipe's predictors do not say how sure they are.
    """
    n = len(next(iter(sides.values())).unlabelled)
    if n < _FEWEST:
        raise MissingDataError(
            f"{n} materials without a target have both vectors; co-training needs {_FEWEST}"
        )
    given: dict[str, dict[int, float]] = {side: {} for side in sides}
    rounds: list[Round] = []
    while len(rounds) <= rules.rounds:
        models = {
            side: _fitted(sides[side], targets, given[side], recipe, seed, progress)
            for side in sides
        }
        rounds.append(_judged(len(rounds), models, sides, targets, given))
        if len(rounds) > 1 and rounds[-1].val_mae >= rounds[-2].val_mae:
            break
        if len(rounds) <= rules.rounds:
            most = max(1, round(rules.share * len(targets["train"])))
            given = _passed_on(models, sides, given, rules, most)
    return rounds


def best_round(rounds: list[Round]) -> Round:
    """The round of the lowest validation error."""
    return min(rounds, key=lambda one: one.val_mae)


def _fitted(
    side: Side,
    targets: Mapping[str, Floats],
    given: Mapping[int, float],
    recipe: Teaching,
    seed: int,
    progress: Progress,
) -> Any:
    """The model of a side, of known labels and those that it was given."""
    rows = sorted(given)
    train = Examples(
        np.concatenate([side.train, side.unlabelled[rows]]),
        np.concatenate([targets["train"], [given[row] for row in rows]]),
        side.segments,
    )
    val = Examples(side.val, targets["val"], side.segments)
    return recipe.fit(train, val, seed, progress).predictor


def _judged(
    number: int,
    models: Mapping[str, Any],
    sides: Mapping[str, Side],
    targets: Mapping[str, Floats],
    given: Mapping[str, Mapping[int, float]],
) -> Round:
    val, test = (
        {name: models[name].predict(getattr(side, fold)) for name, side in sides.items()}
        for fold in ("val", "test")
    )
    both = np.mean(list(val.values()), axis=0)
    return Round(
        number=number,
        labels=sum(map(len, given.values())),
        val_mae=float(np.abs(both - targets["val"]).mean()),
        predictions={**test, "both": np.mean(list(test.values()), axis=0)},
    )


def _passed_on(
    models: Mapping[str, Any],
    sides: Mapping[str, Side],
    given: Mapping[str, Mapping[int, float]],
    rules: Rules,
    most: int,
) -> dict[str, dict[int, float]]:
    """Each model's labels with those of this round."""
    said = {name: models[name].predict(side.unlabelled) for name, side in sides.items()}
    spread = {name: _spread(models[name], side.unlabelled) for name, side in sides.items()}
    names = list(sides)
    found = {}
    for pupil, other in zip(names, reversed(names), strict=True):
        teacher = other if rules.teacher == OTHER else pupil
        limit = np.quantile(spread[teacher], rules.sure)
        # Who is taught by the other learns most where it is least sure itself.
        order = -spread[pupil] if rules.teacher == OTHER else spread[pupil]
        new = [
            int(row)
            for row in np.argsort(order, kind="stable")
            if spread[teacher][row] <= limit and row not in given[pupil]
        ][:most]
        found[pupil] = {**given[pupil], **{row: float(said[teacher][row]) for row in new}}
    return found


def _spread(model: Any, features: npt.NDArray[np.float32]) -> Floats:
    """The standard deviation that the model states."""
    stated = model.uncertainty(features) if hasattr(model, "uncertainty") else None
    if stated is None:
        raise InvalidInputError(
            "co-training needs predictors that say how sure they are, with at least 19 validation "
            "rows to calibrate by: take ensemble"
        )
    return np.asarray(stated.std, np.float64)
