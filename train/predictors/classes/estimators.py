"""Any classifier of scikit-learn by name that arrays can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, joined
from train.predictors.classes.classifier import Arrays, Floats, Learned
from train.predictors.classes.forms import FORMS, MODULES, class_form_of
from train.predictors.classes.probabilities import true_class_error
from train.predictors.errors import TrainingError
from train.predictors.estimators.forms import arrays_of, form_of_arrays
from train.predictors.estimators.settings import EstimatorSettings

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
        return arrays_of(self.form, FORMS) | {"mean": self.mean, "scale": self.scale}

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
        return cls(form_of_arrays(rest, FORMS), mean, scale)


@dataclass(frozen=True)
class EstimatorForClasses(EstimatorSettings):
    """A classifier of scikit-learn by name; as `train.predictors.estimators.recipe.Estimator`."""

    estimator: str = "RandomForestClassifier"

    modules: ClassVar[Mapping[str, str]] = MODULES

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
        found = self.fitted(rows, targets, seed, said)
        form = class_form_of(found.estimator, found.rows, targets)
        some = found.rows[:_ROWS_COMPARED]
        theirs = found.estimator.predict_proba(some)
        if not np.allclose(form.probabilities(some), theirs, rtol=0, atol=1e-6):
            raise TrainingError(
                f"the arrays of scikit-learn's {self.estimator} with these parameters do not give "
                "its probabilities: choose others"
            )
        return EstimatorOfClasses(form, found.mean, found.scale)
