"""The recipe: any regressor of scikit-learn, with the intervals that other predictors have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, Fitted, OnVectors, joined
from train.predictors.errors import TrainingError
from train.predictors.estimators.forms import (
    FORMS,
    Floats,
    Form,
    arrays_of,
    form_of,
    form_of_arrays,
)
from train.predictors.estimators.names import MODULES
from train.predictors.estimators.settings import EstimatorSettings
from train.predictors.uncertainty import TOO_FEW_ROWS, Calibration, Uncertainty


@dataclass(frozen=True)
class EstimatorPredictor(OnVectors):
    """A fitted regressor as arrays.

    Parameters
    ----------
    form : Form
        What predicts.
    mean, scale : ndarray, shape (width,), float64
        Rows are centred and divided by these first.
    calibration : Calibration or None
        Of errors that are alike for all rows; None if the validation rows were too few.
    """

    form: Form = field(repr=False)
    mean: Floats = field(repr=False)
    scale: Floats = field(repr=False)
    calibration: Calibration | None = None

    @property
    def n_features(self) -> int:
        """Width of the features it takes."""
        return len(self.mean)

    def predict(self, features: npt.NDArray[Any]) -> Floats:
        """Predictions, float64 of shape (n,), for features of shape (n, n_features)."""
        return self.form.predict((features.astype(np.float64) - self.mean) / self.scale)

    def uncertainty(self, features: npt.NDArray[Any]) -> Uncertainty | None:
        """The error to expect, the same for each row; None if it could not be calibrated."""
        return None if self.calibration is None else self.calibration(np.ones(len(features)))

    def to_bytes(self) -> bytes:
        """Everything learned, in the safetensors format."""
        arrays = arrays_of(self.form, FORMS) | {"mean": self.mean, "scale": self.scale}
        if self.calibration is not None:
            factors = [self.calibration.std_factor, *self.calibration.factors]
            arrays["calibration"] = np.array(factors)
        return bytes(
            save_arrays({name: np.ascontiguousarray(value) for name, value in arrays.items()})
        )

    @classmethod
    def from_bytes(cls, settings: Mapping[str, Any], weights: bytes) -> EstimatorPredictor:
        """Restore a predictor from its safetensors bytes; scikit-learn's version is all the same.

        Raises
        ------
        ValueError
            If the arrays are of no form, or of several.
        """
        arrays = load_arrays(weights)
        rest = {name: arrays.pop(name) for name in ("mean", "scale")}
        factors = arrays.pop("calibration", None)
        calibration = (
            None
            if factors is None
            else Calibration(float(factors[0]), tuple(map(float, factors[1:])))
        )
        return cls(form_of_arrays(arrays, FORMS), rest["mean"], rest["scale"], calibration)


@dataclass(frozen=True)
class Estimator(EstimatorSettings, OnVectors):
    """A regressor of scikit-learn by name.

    With ``learn_from_val`` it is fitted twice: on the training rows, for the errors on the
    validation rows and the intervals that these calibrate, then on both. The intervals are as wide
    for each row (split conformal prediction, as in `Calibration`).

    The settings are those of `EstimatorSettings`.
    """

    estimator: str = "RandomForestRegressor"

    modules: ClassVar[Mapping[str, str]] = MODULES

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Fit, calibrate by ``val``, and fit again on both.

        The history is the first fit's.

        Parameters
        ----------
        train, val : Examples
            Rows to learn from, and to calibrate by.
        seed : int
            scikit-learn's ``random_state``, of regressors that have one.
        progress : Progress
            Told of each fit.

        Raises
        ------
        TrainingError
            If scikit-learn refuses the rows, or a prediction is no finite number.
        """
        said: dict[str, None] = {}
        first = self._fitted(train, seed, said)
        progress.update()
        errors = [first.predict(rows.features) - rows.targets for rows in (train, val)]
        if not all(np.isfinite(error).all() for error in errors):
            raise TrainingError(
                f"{self.estimator} predicts what is no finite number; standardise=true or other "
                "parameters may help"
            )
        calibration = Calibration.of(errors[1], np.ones(len(val)))
        first = replace(first, calibration=calibration)
        history = [Epoch(1, *(float(np.abs(error).mean()) for error in errors))]
        notes = [] if calibration else [TOO_FEW_ROWS]
        if not self.learn_from_val:
            return Fitted(predictor=first, history=history, best_epoch=1, notes=(*notes, *said))
        second = replace(self._fitted(joined(train, val), seed, said), calibration=calibration)
        progress.update()
        return Fitted(
            predictor=second, history=history, best_epoch=1, rehearsed=first, notes=(*notes, *said)
        )

    def _fitted(self, rows: Examples, seed: int, said: dict[str, None]) -> EstimatorPredictor:
        """The regressor fitted on the rows; what it warns of is added to ``said``."""
        found = self.fitted(rows, rows.targets, seed, said)
        form = form_of(found.estimator, found.rows, rows.targets)
        return EstimatorPredictor(form, found.mean, found.scale)
