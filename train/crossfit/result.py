"""What came of training on every split of a name: errors, and what being left out costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.output.display import Showing, Shown
from featurestore.output.labels import printed_after
from train.analysis.resampling import Estimate, mean_estimates, paired_difference
from train.display.rounding import rounded
from train.models import StoredModel
from train.tasks.base import Task
from train.training import TrainingResult

#: What is rounded by the spread of the errors; other metrics have two decimals.
_ERRORS = ("mae", "rmse", "brier")


@dataclass(frozen=True, repr=False)
class CrossValidated(Shown):
    """What came of training on every split of a name.

    Parameters
    ----------
    name : str
        Of the splits.
    parts : tuple of str
        What each split tests on: the number of a fold, or what is left out.
    results : tuple of TrainingResult
        One for each.
    errors : tuple of dict of str to float
        Of each the absolute error of its test materials, or the Brier score of classes.
    against : dict of str to float, optional
        These errors of the same kind of model that saw materials like each, by material.
    reference : str, optional
        The cross-validation that ``against`` is of.
    """

    name: str
    parts: tuple[str, ...]
    results: tuple[TrainingResult, ...]
    errors: tuple[Mapping[str, float], ...] = field(repr=False)
    against: Mapping[str, float] | None = field(default=None, repr=False)
    reference: str | None = None

    @property
    def models(self) -> tuple[StoredModel, ...]:
        """One for each split."""
        return tuple(result.model for result in self.results)

    @property
    def trained(self) -> int:
        """How many models are new."""
        return sum(result.trained for result in self.results)

    @property
    def task(self) -> Task:
        """What the property asks of the models."""
        return self.models[0].task

    @property
    def measures(self) -> tuple[str, ...]:
        """The metrics of each split, the error first: mae, rmse and r2 of numbers."""
        of_task = self.task
        return (of_task.error, *(name for name in of_task.measures if name != of_task.error))

    @property
    def error(self) -> Estimate:
        """The mean error over all tests, with its bootstrap interval of 95 %.

        A material that several splits test on counts once, by its mean error.
        """
        return mean_estimates(np.array(list(pooled_errors(self.errors).values()))[:, None])[0]

    @property
    def table(self) -> pa.Table:
        """A row for each split: part, n_train, n_test, mae, rmse, r2, and what it costs.

        ``n_train`` counts the rows to stop by. ``mae_against`` is the error of the reference on
        the same materials, and ``cost`` by how many per cent ``mae`` is larger; null without one.
        Of classes there are `class_metrics` in place of the errors, and ``brier_against``.
        """
        rows = []
        for part, model, errors in zip(self.parts, self.models, self.errors, strict=True):
            folds = model.metrics["folds"]
            row: dict[str, Any] = {"part": part}
            row["n_train"] = folds["train"]["n"] + folds["val"]["n"]
            row["n_test"] = folds["test"]["n"]
            row |= {name: folds["test"][name] for name in self.measures}
            rows.append(row | self._compared(errors))
        numbers = [*self.measures, self._against, "cost"]
        fields = [("part", pa.string()), ("n_train", pa.int64()), ("n_test", pa.int64())]
        fields += [(name, pa.float64()) for name in numbers]
        return pa.Table.from_pylist(rows, pa.schema(fields))

    @property
    def _against(self) -> str:
        return f"{self.task.error}_against"

    def _compared(self, errors: Mapping[str, float]) -> dict[str, float | None]:
        both = [one for one in errors if one in (self.against or {})]
        if not self.against or not both:
            return {self._against: None, "cost": None}
        known = float(np.mean([self.against[one] for one in both]))
        held = float(np.mean([errors[one] for one in both]))
        return {self._against: known, "cost": 100 * (held / known - 1) if known else None}

    @property
    def short(self) -> pa.Table:
        """For reading: numbers rounded to their error, without columns that say nothing."""
        rows = []
        for row, errors in zip(self.table.to_pylist(), self.errors, strict=True):
            values = np.array(list(errors.values()))
            error = float(values.std() / np.sqrt(len(values))) if len(values) > 1 else None
            named = {name: row[name] for name in ("part", "n_train", "n_test")}
            for name in self.measures:
                value = row[name]
                decimals = "" if value is None else f"{value:.2f}"
                named[name] = rounded(value, error) if name in _ERRORS else decimals
            if self.against:
                named[self._against] = rounded(row[self._against], error)
                named["cost"] = "" if row["cost"] is None else f"{row['cost']:+.0f} %"
            rows.append(named)
        return pa.Table.from_pylist(rows)

    def sentences(self) -> list[str]:
        """The errors over all splits in words."""
        unit, n = printed_after(self.task.error_unit), len(pooled_errors(self.errors))
        mean = self.error
        half = (mean.high - mean.low) / 2
        low, value, high = (rounded(one, half) for one in (mean.low, mean.value, mean.high))
        said = [
            f"Out of fold, {n:,} materials: {self.task.error_name} {value}{unit} "
            f"(95 %: {low} to {high}); "
            f"{len(self.parts)} models of {self.name}, {self.trained} of them new."
        ]
        pooled = pooled_errors(self.errors)
        both = [one for one in pooled if one in (self.against or {})]
        if self.against and both:
            ours = np.array([pooled[one] for one in both])
            theirs = np.array([self.against[one] for one in both])
            gain = paired_difference(ours, theirs).gain
            spread = (gain.high - gain.low) / 2
            more, low, high = (rounded(one, spread) for one in (gain.value, gain.low, gain.high))
            share = f", {100 * gain.value / theirs.mean():+.0f} %" if theirs.any() else ""
            said.append(
                f"To be left out costs {more}{unit} (95 %: {low} to {high}){share}, against "
                f"{self.reference} on the same {len(both):,} materials."
            )
        return said

    def showing(self) -> Showing:
        """The table, and the sentences."""
        return Showing(f"Trained on {self.name}", {}, self.short, tuple(self.sentences()))


def pooled_errors(errors: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By material the mean over the splits that test on it."""
    found: dict[str, list[float]] = {}
    for of_one in errors:
        for name, error in of_one.items():
            found.setdefault(name, []).append(error)
    return {name: float(np.mean(values)) for name, values in found.items()}
