"""Properties of numbers: regression, with standard deviations and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.views.view import TrainingView
from train.crossfit.cv_plus import out_of_fold_uncertainty
from train.metrics import regression_metrics
from train.predictors.base import Predictor, UncertainPredictor
from train.predictors.uncertainty import STORED_LEVEL, Uncertainty, coverage
from train.tasks.base import Floats, Folds


@dataclass(frozen=True)
class SaidOfNumbers:
    """Predictions, shape (n,), and what is known of their errors."""

    predictions: Floats
    uncertainty: Uncertainty | None

    def replaced(self, rows: npt.NDArray[np.bool_], others: SaidOfNumbers) -> SaidOfNumbers:
        """See `train.tasks.base.Said`."""
        predictions = self.predictions.copy()
        predictions[rows] = others.predictions
        uncertainty = self.uncertainty
        if uncertainty is not None and others.uncertainty is not None:
            uncertainty = uncertainty.replaced(rows, others.uncertainty)
        return SaidOfNumbers(predictions, uncertainty)

    def finite(self) -> npt.NDArray[np.bool_]:
        """For which rows the prediction is."""
        return np.isfinite(self.predictions)

    def columns(self) -> dict[str, Any]:
        """Predictions, standard deviations and intervals."""
        std = lower = upper = pa.nulls(len(self.predictions), pa.float64())
        if self.uncertainty is not None:
            half_widths = self.uncertainty.half_widths[STORED_LEVEL]
            std = self.uncertainty.std
            lower, upper = self.predictions - half_widths, self.predictions + half_widths
        return {"prediction": self.predictions, "std": std, "lower": lower, "upper": upper}


@dataclass(frozen=True)
class Numbers:
    """Regression of a property in a unit."""

    unit: str

    error = "mae"
    error_name = "MAE"
    measures = ("mae", "rmse", "r2")
    beside = ()

    @property
    def error_unit(self) -> str:
        """That of the property."""
        return self.unit

    def check(self, view: TrainingView, folds: Folds) -> list[str]:
        """A note where all training targets are equal."""
        if np.ptp(view.targets[folds["train"]]) == 0:
            return ["all training targets are equal: the model can only learn a constant"]
        return []

    def said(self, predictor: Predictor, inputs: npt.NDArray[Any]) -> SaidOfNumbers:
        """Predictions, with their uncertainty where the predictor knows it."""
        uncertain = isinstance(predictor, UncertainPredictor)
        return SaidOfNumbers(
            predictor.predict(inputs),
            predictor.uncertainty(inputs) if uncertain else None,  # type: ignore[attr-defined]
        )

    def said_out_of_fold(
        self, rows: Sequence[Mapping[str, Any]], fold_of: npt.NDArray[np.int64]
    ) -> SaidOfNumbers:
        """Predictions, with intervals by the errors of the other folds."""
        told, targets = (
            np.array([row[name] for row in rows], dtype=np.float64)
            for name in ("prediction", "target")
        )
        return SaidOfNumbers(told, out_of_fold_uncertainty(told - targets, fold_of))

    def metrics(self, targets: Floats, said: SaidOfNumbers, folds: Folds) -> dict[str, Any]:
        """Errors of each fold, and the coverage of the test targets by intervals."""
        predictions, uncertainty = said.predictions, said.uncertainty
        errors, test = predictions - targets, folds["test"]
        covered = {} if uncertainty is None else {"coverage": coverage(errors, uncertainty, test)}
        of_folds = {
            fold: regression_metrics(targets[rows], predictions[rows])
            for fold, rows in folds.items()
        }
        return {"folds": of_folds, **covered}

    def errors(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Absolute errors, shape (n,), in the unit."""
        return np.array([abs(row["prediction"] - row["target"]) for row in rows], dtype=np.float64)
