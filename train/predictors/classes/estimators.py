"""Any classifier of scikit-learn by name that arrays can hold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples
from train.predictors.classes.classifier import Arrays, Floats, Learned
from train.predictors.classes.forms import FORMS, MODULES, class_form_of
from train.predictors.classes.probabilities import true_class_error
from train.predictors.ensemble.recipe import joined
from train.predictors.errors import TrainingError
from train.predictors.estimators.names import made
from train.predictors.estimators.recipe import own_and_parameters, scaling

_SETTINGS = ("estimator", "standardise", "learn_from_val")
_ROWS_COMPARED = 200


@dataclass(frozen=True)
class EstimatorOfClasses:
    """A fitted classifier as arrays.

    Parameters
    ----------
    form : object
        One of `FORMS`.
    mean, scale : ndarray, shape (width,), float64
        Rows are centred and divided by these first.
    """

    form: Any = field(repr=False)
    mean: Floats = field(repr=False)
    scale: Floats = field(repr=False)

    @property
    def n_features(self) -> int:
        """Width of the features."""
        return len(self.mean)

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """Of the classes it saw, shape (n, seen)."""
        rows = (features.astype(np.float64) - self.mean) / self.scale
        return np.asarray(self.form.probabilities(rows))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The form's arrays under its name, and the scaling."""
        kind = next(name for name, form in FORMS.items() if type(self.form) is form)
        arrays = {f"{kind}.{name}": value for name, value in self.form.to_arrays().items()}
        return arrays | {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> EstimatorOfClasses:
        """Restore what `to_arrays` gave.

        Raises
        ------
        ValueError
            If the arrays are of no form, or of several.
        """
        rest = dict(arrays)
        mean, scale = rest.pop("mean"), rest.pop("scale")
        kinds = {name.partition(".")[0] for name in rest}
        if len(kinds) != 1 or not kinds <= FORMS.keys():
            raise ValueError(f"arrays of {sorted(kinds)} are not one of {', '.join(FORMS)}")
        kind = kinds.pop()
        of_form = {name.removeprefix(f"{kind}."): value for name, value in rest.items()}
        return cls(FORMS[kind].from_arrays(of_form), mean, scale)


@dataclass(frozen=True)
class EstimatorForClasses:
    """A classifier of scikit-learn by name; as `train.predictors.estimators.recipe.Estimator`."""

    estimator: str = "RandomForestClassifier"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    standardise: bool = False
    learn_from_val: bool = True

    name: ClassVar[str] = "sklearn"

    def __post_init__(self) -> None:
        made(self.estimator, self.parameters, MODULES)

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> EstimatorForClasses:
        """The learner with these settings; parameters at their defaults are not among its own."""
        own, parameters = own_and_parameters(settings, MODULES)
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

    def learn(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Learned:
        """Fit, and with ``learn_from_val`` again on both folds.

        Raises
        ------
        TrainingError
            If scikit-learn refuses the rows.
        """
        said: dict[str, None] = {}
        first = second = self._fitted(train, seed, said)
        progress.update()
        errors = (
            true_class_error(first.probabilities(rows.features), rows.targets.astype(np.int64))
            for rows in (train, val)
        )
        history = [Epoch(1, *errors)]
        if self.learn_from_val:
            second = self._fitted(joined(train, val), seed, said)
            progress.update()
        return Learned(second, first, history, 1, notes=tuple(said))

    def _fitted(self, rows: Examples, seed: int, said: dict[str, None]) -> EstimatorOfClasses:
        """The classifier fitted on the rows; what it warns of is added to ``said``."""
        targets = rows.targets.astype(np.int64)
        x = rows.features.astype(np.float64)
        mean, scale = scaling(x, self.standardise)
        x = (x - mean) / scale
        estimator = made(self.estimator, self.parameters, MODULES)
        if "random_state" in estimator.get_params(deep=False):
            estimator.set_params(random_state=seed)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                estimator.fit(x, targets)
        except ValueError as error:
            raise TrainingError(f"scikit-learn's {self.estimator} refuses: {error}") from error
        said |= dict.fromkeys(
            f"scikit-learn warns: {' '.join(str(one.message).split())}" for one in caught
        )
        form = class_form_of(estimator, x, targets)
        some = x[:_ROWS_COMPARED]
        theirs = estimator.predict_proba(some)
        if not np.allclose(form.probabilities(some), theirs, rtol=0, atol=1e-6):
            raise TrainingError(
                f"the arrays of scikit-learn's {self.estimator} with these parameters do not give "
                "its probabilities: choose others"
            )
        return EstimatorOfClasses(form, mean, scale)
