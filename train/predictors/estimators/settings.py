"""The settings of scikit-learn's estimators, whatever they learn, and how they are fitted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from train.predictors.base import Examples
from train.predictors.errors import TrainingError
from train.predictors.estimators.forms import Floats
from train.predictors.estimators.names import made

_SETTINGS = ("estimator", "standardise", "learn_from_val")


@dataclass(frozen=True)
class FittedEstimator:
    """scikit-learn's fitted estimator.

    Parameters
    ----------
    estimator : object
        scikit-learn's.
    rows : ndarray, shape (n, width), float64
        What it was fitted on: centred by ``mean`` and divided by ``scale``, each of shape (width,).
    """

    estimator: Any
    rows: Floats = field(repr=False)
    mean: Floats = field(repr=False)
    scale: Floats = field(repr=False)


@dataclass(frozen=True)
class EstimatorSettings:
    """An estimator of scikit-learn by name.

    Parameters
    ----------
    estimator : str
        Name of the class, one of ``modules``.
    parameters : mapping
        Of the class, other than its defaults.
    standardise : bool
        Whether each column is centred and scaled to unit variance first.
    learn_from_val : bool
        Whether it learns from the validation rows, too.

    Raises
    ------
    UnknownNameError
        If scikit-learn has no such estimator.
    InvalidInputError
        If it cannot be stored, or a parameter does not suit.
    """

    estimator: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    standardise: bool = False
    learn_from_val: bool = True

    name: ClassVar[str] = "sklearn"
    modules: ClassVar[Mapping[str, str]]

    def __post_init__(self) -> None:
        made(self.estimator, self.parameters, self.modules)

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> Self:
        """With these settings; parameters at their defaults are not among its own."""
        own = {name: settings[name] for name in _SETTINGS}
        defaults = made(own["estimator"], {}, cls.modules).get_params(deep=False)
        parameters = {
            name: value
            for name, value in settings.items()
            if name not in _SETTINGS and value != defaults[name]
        }
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

    def fitted(
        self, rows: Examples, targets: npt.NDArray[Any], seed: int, said: dict[str, None]
    ) -> FittedEstimator:
        """Fit the estimator; what it warns of is added to ``said``.

        Raises
        ------
        TrainingError
            If scikit-learn refuses the rows.
        """
        x = rows.features.astype(np.float64)
        mean, scale = _scaling(x, self.standardise)
        if self.standardise:
            x = (x - mean) / scale
        estimator = made(self.estimator, self.parameters, self.modules)
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
        return FittedEstimator(estimator, x, mean, scale)


def _scaling(x: Floats, standardise: bool) -> tuple[Floats, Floats]:
    """By which columns are centred and divided; 0 and 1 unless they are standardised."""
    if not standardise:
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    mean, spread = x.mean(axis=0), x.std(axis=0)
    # A column that is constant but for rounding stays as it is.
    scale = np.where(spread > 10 * np.finfo(np.float32).eps * np.abs(mean), spread, 1.0)
    scale[scale == 0] = 1.0
    return mean, scale
