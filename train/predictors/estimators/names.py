"""Which of scikit-learn's regressors there are, and the parameters that each has as settings.

Those are here whose fitted state is one of the `forms`: nothing else can be stored without pickle.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.plugins import Setting
from train.predictors.settings import AnyValue

_LINEAR = (
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "GammaRegressor",
    "HuberRegressor",
    "Lars",
    "LarsCV",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LassoLarsCV",
    "LassoLarsIC",
    "LinearRegression",
    "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV",
    "PoissonRegressor",
    "QuantileRegressor",
    "Ridge",
    "RidgeCV",
    "SGDRegressor",
    "TheilSenRegressor",
    "TweedieRegressor",
)
#: By name the module that has it.
MODULES: Mapping[str, str] = {
    **dict.fromkeys(_LINEAR, "sklearn.linear_model"),
    "PLSRegression": "sklearn.cross_decomposition",
    "LinearSVR": "sklearn.svm",
    "SVR": "sklearn.svm",
    "NuSVR": "sklearn.svm",
    "KernelRidge": "sklearn.kernel_ridge",
    "KNeighborsRegressor": "sklearn.neighbors",
    "MLPRegressor": "sklearn.neural_network",
    "DecisionTreeRegressor": "sklearn.tree",
    "ExtraTreeRegressor": "sklearn.tree",
    "BaggingRegressor": "sklearn.ensemble",
    "ExtraTreesRegressor": "sklearn.ensemble",
    "GradientBoostingRegressor": "sklearn.ensemble",
    "HistGradientBoostingRegressor": "sklearn.ensemble",
    "RandomForestRegressor": "sklearn.ensemble",
}

#: Set by the recipe, of no effect on the result, or no plain value.
_HIDDEN = {
    *("random_state", "n_jobs", "verbose", "warm_start", "copy", "copy_X"),
    *("estimator", "init", "categorical_features", "interaction_cst", "monotonic_cst"),
    *("metric_params", "kernel_params", "solver_options", "scoring", "criterion_params"),
}
#: Kernels that `forms.Kernel` knows.
KERNELS = ("linear", "poly", "polynomial", "rbf", "sigmoid", "laplacian")


def made(name: str, parameters: Mapping[str, Any], modules: Mapping[str, str]) -> Any:
    """A regressor that is not fitted yet, or a classifier where ``modules`` are of such.

    Raises
    ------
    UnknownNameError
        If scikit-learn has none of that name.
    InvalidInputError
        If it cannot be stored, or a parameter's value does not suit.
    """
    estimator = _class(name, modules)(**parameters)
    try:
        estimator._validate_params()
    except ValueError as error:
        raise InvalidInputError(f"scikit-learn refuses a setting of {name}: {error}") from error
    kernel = getattr(estimator, "kernel", "rbf")
    if kernel not in KERNELS:
        raise InvalidInputError(
            f"{name} with the kernel {kernel!r} cannot be stored; kernels that can: "
            f"{', '.join(KERNELS)}"
        )
    return estimator


def parameter_settings(name: str, modules: Mapping[str, str] = MODULES) -> Sequence[Setting]:
    """The parameters of one that can be chosen, at scikit-learn's defaults.

    Raises
    ------
    UnknownNameError, InvalidInputError
        As for `made`.
    """
    defaults = _class(name, modules)().get_params(deep=False)
    return [
        AnyValue(parameter, str, _plain(value), f"A parameter of scikit-learn's {name}.")
        for parameter, value in sorted(defaults.items())
        if parameter not in _HIDDEN
    ]


def _class(name: str, modules: Mapping[str, str]) -> Any:
    if name in modules:
        return getattr(importlib.import_module(modules[name]), name)
    from sklearn.utils import all_estimators

    what, other = ("regressor", "classifier") if modules is MODULES else ("classifier", "regressor")
    if name in dict(all_estimators(type_filter=what)):
        raise InvalidInputError(
            f"scikit-learn's {name} cannot be stored without pickle, which a store must not hold; "
            f"those that can: {', '.join(sorted(modules))}"
        )
    if name in dict(all_estimators(type_filter=other)):
        learns = "numbers, not classes" if other == "regressor" else "classes, not numbers"
        raise InvalidInputError(
            f"scikit-learn's {name} learns {learns}; {what}s: {', '.join(sorted(modules))}"
        )
    raise UnknownNameError(f"{what} of scikit-learn", name, modules)


def _plain(value: Any) -> Any:
    """A numpy number as one of Python's."""
    return value.item() if hasattr(value, "item") else value
