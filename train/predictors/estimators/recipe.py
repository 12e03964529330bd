"""The recipe: any regressor of scikit-learn, with the intervals that other predictors have."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, Fitted, OnVectors
from train.predictors.errors import TrainingError
from train.predictors.estimators.forms import FORMS, Floats, Form, form_of
from train.predictors.estimators.names import MODULES, made
from train.predictors.uncertainty import TOO_FEW_ROWS, Calibration, Uncertainty

_SETTINGS = ("estimator", "standardise", "learn_from_val")


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
        kind = next(name for name, form in FORMS.items() if type(self.form) is form)
        arrays = {f"{kind}.{name}": value for name, value in self.form.to_arrays().items()}
        arrays |= {"mean": self.mean, "scale": self.scale}
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
        kinds = {name.partition(".")[0] for name in arrays}
        if len(kinds) != 1 or not kinds <= FORMS.keys():
            raise ValueError(f"arrays of {sorted(kinds)} are not one of {', '.join(FORMS)}")
        kind = kinds.pop()
        of_form = {name.removeprefix(f"{kind}."): value for name, value in arrays.items()}
        calibration = (
            None
            if factors is None
            else Calibration(float(factors[0]), tuple(map(float, factors[1:])))
        )
        return cls(FORMS[kind].from_arrays(of_form), rest["mean"], rest["scale"], calibration)


@dataclass(frozen=True)
class Estimator(OnVectors):
    """A regressor of scikit-learn by name.

    With ``learn_from_val`` it is fitted twice: on the training rows, for the errors on the
    validation rows and the intervals that these calibrate, then on both. The intervals are as wide
    for each row (split conformal prediction, as in `Calibration`).

    Parameters
    ----------
    estimator : str
        Name of the class.
    parameters : mapping
        Of the class, other than its defaults.
    standardise : bool
        Whether each column is centred and scaled to unit variance first.
    learn_from_val : bool
        Whether it learns from the validation rows, too.

    Raises
    ------
    UnknownNameError
        If scikit-learn has no such regressor.
    InvalidInputError
        If it cannot be stored, or a parameter does not suit.
    """

    estimator: str = "RandomForestRegressor"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    standardise: bool = False
    learn_from_val: bool = True

    name: ClassVar[str] = "sklearn"

    def __post_init__(self) -> None:
        made(self.estimator, self.parameters)

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> Estimator:
        """The recipe with these settings; parameters at their defaults are not among its own."""
        own, parameters = own_and_parameters(settings)
        return cls(parameters=parameters, **own)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings as JSON values; parameters are beside the others."""
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.parameters.items()
        }
        return {name: getattr(self, name) for name in _SETTINGS} | plain

    @property
    def max_epochs(self) -> int:
        """Fits."""
        return 1 + self.learn_from_val

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
        both = Examples(
            np.concatenate([train.features, val.features]),
            np.concatenate([train.targets, val.targets]),
            train.segments,
        )
        second = replace(self._fitted(both, seed, said), calibration=calibration)
        progress.update()
        return Fitted(
            predictor=second, history=history, best_epoch=1, rehearsed=first, notes=(*notes, *said)
        )

    def _fitted(self, rows: Examples, seed: int, said: dict[str, None]) -> EstimatorPredictor:
        """The regressor fitted on the rows; what it warns of is added to ``said``."""
        x, y = rows.features.astype(np.float64), rows.targets
        mean, scale = scaling(x, self.standardise)
        if self.standardise:
            x = (x - mean) / scale
        estimator = made(self.estimator, self.parameters)
        if "random_state" in estimator.get_params(deep=False):
            estimator.set_params(random_state=seed)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                estimator.fit(x, y)
        except ValueError as error:
            raise TrainingError(f"scikit-learn's {self.estimator} refuses: {error}") from error
        said |= dict.fromkeys(
            f"scikit-learn warns: {' '.join(str(one.message).split())}" for one in caught
        )
        return EstimatorPredictor(form_of(estimator, x, y), mean, scale)


def own_and_parameters(
    settings: Mapping[str, Any], modules: Mapping[str, str] = MODULES
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recipe's own settings, and the parameters of the class that are not at their defaults."""
    own = {name: settings[name] for name in _SETTINGS}
    defaults = made(own["estimator"], {}, modules).get_params(deep=False)
    parameters = {
        name: value
        for name, value in settings.items()
        if name not in _SETTINGS and value != defaults[name]
    }
    return own, parameters


def scaling(x: Floats, standardise: bool) -> tuple[Floats, Floats]:
    """By which columns are centred and divided; 0 and 1 unless they are standardised."""
    if not standardise:
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    mean, spread = x.mean(axis=0), x.std(axis=0)
    # A column that is constant but for rounding stays as it is.
    scale = np.where(spread > 10 * np.finfo(np.float32).eps * np.abs(mean), spread, 1.0)
    scale[scale == 0] = 1.0
    return mean, scale
