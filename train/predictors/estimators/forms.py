"""What fitted regressors come down to: arrays and a formula, with scikit-learn's predictions.

Five forms cover them: linear, trees, kernel, neighbours and layers. They are read off a fitted
regressor's attributes, and depend on no version of scikit-learn from then on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from train.predictors.baselines.boosted_trees import Trees, flat_trees
from train.predictors.estimators.names import KERNELS

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

_ROWS_AT_ONCE = 1024
_LOG_LOSSES = ("poisson", "gamma")
_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
_OUTPUTS = ("identity", "exp")


class Form(Protocol):
    """A way of predicting with arrays."""

    def predict(self, rows: Floats) -> Floats:
        """Predictions, shape (n,), for rows of shape (n, width)."""
        ...

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it; the class method ``from_arrays`` takes them."""
        ...


@dataclass(frozen=True)
class Linear:
    """x · coefficients + intercept, or its exponential.

    Parameters
    ----------
    coefficients : ndarray, shape (width,), float64
    intercept : float
    exponential : bool
        Whether the logarithm of the target is linear.
    """

    coefficients: Floats
    intercept: float
    exponential: bool = False

    def predict(self, rows: Floats) -> Floats:
        """Predictions, shape (n,), for rows of shape (n, width)."""
        found = np.asarray(rows @ self.coefficients + self.intercept)
        return np.exp(found) if self.exponential else found

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The numbers as arrays."""
        return {
            "coefficients": self.coefficients,
            "intercept": np.array([self.intercept]),
            "exponential": np.array([self.exponential]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Linear:
        """Restore what `to_arrays` gave."""
        return cls(
            arrays["coefficients"], float(arrays["intercept"][0]), bool(arrays["exponential"][0])
        )


@dataclass(frozen=True)
class Forest:
    """The sum of trees' leaves and a constant, divided by a number, or its exponential.

    Parameters
    ----------
    trees : Trees
        With the constant.
    divisor : float
        The number of trees where they are averaged.
    single : bool
        Whether rows are compared in float32, as scikit-learn's trees do.
    exponential : bool
        Whether the logarithm of the target is the sum.
    """

    trees: Trees = field(repr=False)
    divisor: float
    single: bool = True
    exponential: bool = False

    def predict(self, rows: Floats) -> Floats:
        """Predictions, shape (n,), for rows of shape (n, width)."""
        found = self.trees.predict(rows.astype(np.float32) if self.single else rows) / self.divisor
        return np.exp(found) if self.exponential else found

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The trees' arrays and the rest."""
        flags = np.array([self.single, self.exponential])
        return self.trees.to_arrays() | {"divisor": np.array([self.divisor]), "flags": flags}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Forest:
        """Restore what `to_arrays` gave."""
        rest = dict(arrays)
        divisor, flags = rest.pop("divisor"), rest.pop("flags")
        return cls(Trees.from_arrays(rest), float(divisor[0]), bool(flags[0]), bool(flags[1]))


@dataclass(frozen=True)
class Kernel:
    """The sum of a kernel with kept rows, weighted, and a constant.

    Parameters
    ----------
    rows : ndarray, shape (n_kept, width), float64
        Support vectors, or all training rows.
    weights : ndarray, shape (n_kept,), float64
    intercept : float
    kernel : str
        One of ``KERNELS``.
    gamma, coef0, degree : float
        Of the kernel, as far as it has them.
    """

    rows: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    intercept: float
    kernel: str
    gamma: float
    coef0: float
    degree: float

    def predict(self, rows: Floats) -> Floats:
        """Predictions, shape (n,), for rows of shape (n, width), some at a time."""
        from sklearn.metrics.pairwise import pairwise_kernels

        options = {"gamma": self.gamma, "coef0": self.coef0, "degree": self.degree}
        parts = [
            pairwise_kernels(
                rows[first : first + _ROWS_AT_ONCE],
                self.rows,
                metric=self.kernel,
                filter_params=True,
                **options,
            )
            @ self.weights
            + self.intercept
            for first in range(0, len(rows), _ROWS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The rows, the weights and the numbers."""
        numbers = [self.intercept, self.gamma, self.coef0, self.degree]
        return {
            "rows": self.rows,
            "weights": self.weights,
            "numbers": np.array(numbers, dtype=np.float64),
            "kernel": np.array([KERNELS.index(self.kernel)]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Kernel:
        """Restore what `to_arrays` gave."""
        intercept, gamma, coef0, degree = map(float, arrays["numbers"])
        return cls(
            rows=arrays["rows"],
            weights=arrays["weights"],
            intercept=intercept,
            kernel=KERNELS[int(arrays["kernel"][0])],
            gamma=gamma,
            coef0=coef0,
            degree=degree,
        )


@dataclass(frozen=True)
class KeptRows:
    """The training rows themselves; they are indexed anew when they are asked.

    Parameters
    ----------
    rows : ndarray, shape (n_kept, width), float64
    targets : ndarray, shape (n_kept,), float64 or int64
    parameters : mapping
        Of scikit-learn's estimator of nearest neighbours, plain values.
    """

    rows: Floats = field(repr=False)
    targets: npt.NDArray[Any] = field(repr=False)
    parameters: Mapping[str, Any]

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The rows, the targets and the parameters as JSON bytes."""
        text = json.dumps(self.parameters, sort_keys=True).encode()
        return {
            "rows": self.rows,
            "targets": self.targets,
            "parameters": np.frombuffer(text, dtype=np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Restore what `to_arrays` gave."""
        parameters = json.loads(arrays["parameters"].tobytes())
        return cls(arrays["rows"], arrays["targets"], parameters)


class Neighbours(KeptRows):
    """A mean over the nearest of all training rows."""

    def predict(self, rows: Floats) -> Floats:
        """Predictions, shape (n,), for rows of shape (n, width)."""
        from sklearn.neighbors import KNeighborsRegressor

        fitted = KNeighborsRegressor(**self.parameters).fit(self.rows, self.targets)
        return np.asarray(fitted.predict(rows)) if len(rows) else np.empty(0)


@dataclass(frozen=True)
class Layers:
    """A fully connected network.

    Parameters
    ----------
    weights : tuple of ndarray, each of shape (n_in, n_out), float64
    biases : tuple of ndarray, each of shape (n_out,), float64
    activation : {"identity", "logistic", "tanh", "relu"}
        Of the hidden layers.
    output : {"identity", "exp"}
        Of the last one.
    """

    weights: tuple[Floats, ...] = field(repr=False)
    biases: tuple[Floats, ...] = field(repr=False)
    activation: str
    output: str

    def predict(self, rows: Floats) -> Floats:
        """Predictions, shape (n,), for rows of shape (n, width)."""
        return self.outputs(rows)[:, 0]

    def outputs(self, rows: Floats) -> Floats:
        """All outputs of the last layer, shape (n, outputs)."""
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            rows = _activated(rows @ weights + biases, self.activation)
        rows = rows @ self.weights[-1] + self.biases[-1]
        return np.asarray(np.exp(rows) if self.output == "exp" else rows)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The layers in order, and the functions by number."""
        numbers = [_ACTIVATIONS.index(self.activation), _OUTPUTS.index(self.output)]
        return {
            **{f"weights.{i}": value for i, value in enumerate(self.weights)},
            **{f"biases.{i}": value for i, value in enumerate(self.biases)},
            "functions": np.array(numbers),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Layers:
        """Restore what `to_arrays` gave."""
        activation, output = map(int, arrays["functions"])
        layers = range((len(arrays) - 1) // 2)
        return cls(
            tuple(arrays[f"weights.{i}"] for i in layers),
            tuple(arrays[f"biases.{i}"] for i in layers),
            _ACTIVATIONS[activation],
            _OUTPUTS[output],
        )


#: By the name that the arrays of each bear.
FORMS: Mapping[str, Any] = {
    "linear": Linear,
    "forest": Forest,
    "kernel": Kernel,
    "neighbours": Neighbours,
    "layers": Layers,
}


def arrays_of(form: Any, forms: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """A form's arrays under its name among ``forms``."""
    kind = next(name for name, one in forms.items() if type(form) is one)
    return {f"{kind}.{name}": value for name, value in form.to_arrays().items()}


def form_of_arrays(arrays: Arrays, forms: Mapping[str, Any]) -> Any:
    """Restore what `arrays_of` gave.

    Raises
    ------
    ValueError
        If the arrays are of none of ``forms``, or of several.
    """
    kinds = {name.partition(".")[0] for name in arrays}
    if len(kinds) != 1 or not kinds <= forms.keys():
        raise ValueError(f"arrays of {sorted(kinds)} are not one of {', '.join(forms)}")
    kind = kinds.pop()
    return forms[kind].from_arrays(
        {name.removeprefix(f"{kind}."): value for name, value in arrays.items()}
    )


def form_of(fitted: Any, rows: Floats, targets: Floats) -> Form:
    """What a fitted regressor of `names.MODULES` comes down to.

    Parameters
    ----------
    fitted : object
        scikit-learn's.
    rows : ndarray, shape (n, width), float64
        Which it was fitted on, with ``targets``, shape (n,).
    """
    name = type(fitted).__name__
    if name == "KNeighborsRegressor":
        return Neighbours(rows, targets, fitted.get_params(deep=False))
    if name == "MLPRegressor":
        return Layers(
            weights=tuple(fitted.coefs_),
            biases=tuple(fitted.intercepts_),
            activation=fitted.activation,
            output=fitted.out_activation_,
        )
    if name in ("SVR", "NuSVR"):
        return _support_vectors(fitted, rows)
    if name == "KernelRidge":
        return _kernel_ridge(fitted, rows)
    if name == "HistGradientBoostingRegressor":
        trees = flat_trees(fitted, fitted.n_iter_, rows.shape[1])
        return Forest(trees, 1.0, single=False, exponential=fitted.loss in _LOG_LOSSES)
    if hasattr(fitted, "tree_") or hasattr(fitted, "estimators_"):
        return _forest(fitted, rows.shape[1])
    return _linear(fitted, name, rows)


def _linear(fitted: Any, name: str, rows: Floats) -> Linear:
    coefficients = np.ravel(fitted.coef_).astype(np.float64)
    intercept = float(np.ravel(fitted.intercept_)[0])
    if name == "PLSRegression":
        # It centres what it is given.
        intercept -= float(coefficients @ rows.mean(axis=0))
    log = name in ("PoissonRegressor", "GammaRegressor") or (
        name == "TweedieRegressor"
        and (fitted.link == "log" or (fitted.link == "auto" and fitted.power > 0))
    )
    return Linear(coefficients, intercept, log)


def _support_vectors(fitted: Any, rows: Floats) -> Kernel:
    width = rows.shape[1]
    gamma = {"scale": 1 / (width * (rows.var() or 1.0)), "auto": 1 / width}.get(
        fitted.gamma, fitted.gamma
    )
    return Kernel(
        rows=fitted.support_vectors_,
        weights=np.ravel(fitted.dual_coef_),
        intercept=float(fitted.intercept_[0]),
        kernel=fitted.kernel,
        gamma=float(gamma),
        coef0=float(fitted.coef0),
        degree=float(fitted.degree),
    )


def _kernel_ridge(fitted: Any, rows: Floats) -> Kernel:
    return Kernel(
        rows=rows,
        weights=np.ravel(fitted.dual_coef_),
        intercept=0.0,
        kernel=fitted.kernel,
        gamma=float(1 / rows.shape[1] if fitted.gamma is None else fitted.gamma),
        coef0=float(fitted.coef0),
        degree=float(fitted.degree),
    )


@dataclass(frozen=True)
class _Nodes:
    """The nodes of one tree, as in `Trees`."""

    feature: npt.NDArray[Any]
    threshold: Floats
    left: npt.NDArray[Any]
    right: npt.NDArray[Any]
    value: Floats

    @classmethod
    def of(cls, tree: Any, columns: npt.NDArray[np.int64], value: Floats) -> _Nodes:
        """Of scikit-learn's tree, which sees these columns."""
        inner = tree.children_left >= 0
        return cls(
            feature=np.where(inner, columns[np.where(inner, tree.feature, 0)], -1),
            threshold=np.where(inner, tree.threshold, 0.0),
            left=np.where(inner, tree.children_left, 0),
            right=np.where(inner, tree.children_right, 0),
            value=value,
        )


def _forest(fitted: Any, width: int) -> Forest:
    """Of a tree, or of trees that are averaged or boosted."""
    members = list(np.ravel(getattr(fitted, "estimators_", [fitted])))
    boosted = hasattr(fitted, "init_")
    factor = fitted.learning_rate if boosted else 1.0
    baseline = float(np.ravel(fitted.init_.constant_)[0]) if boosted else 0.0
    # Of a bagging regressor each member may see some of the columns alone.
    columns = getattr(fitted, "estimators_features_", [np.arange(width)] * len(members))
    values = [factor * member.tree_.value[:, 0, 0] for member in members]
    trees = joined_trees(members, columns, values, baseline, width)
    return Forest(trees, 1.0 if boosted else float(len(members)))


def joined_trees(
    members: Sequence[Any],
    columns: Sequence[npt.NDArray[np.int64]],
    values: Sequence[Floats],
    baseline: float,
    width: int,
) -> Trees:
    """scikit-learn's trees one after another.

    Parameters
    ----------
    members : sequence of object
        With a ``tree_``.
    columns : sequence of ndarray
        Which columns each sees.
    values : sequence of ndarray, shape (n_nodes,) or (n_nodes, k), float64
        Of each one's nodes.
    baseline : float
        What the leaves are added to.
    width : int
        Of the features.
    """
    nodes = [
        _Nodes.of(member.tree_, of, value)
        for member, of, value in zip(members, columns, values, strict=True)
    ]
    sizes = [len(tree.feature) for tree in nodes]
    return Trees(
        feature=np.concatenate([tree.feature for tree in nodes]).astype(np.int32),
        threshold=np.concatenate([tree.threshold for tree in nodes]),
        left=np.concatenate([tree.left for tree in nodes]).astype(np.int32),
        right=np.concatenate([tree.right for tree in nodes]).astype(np.int32),
        value=np.concatenate([tree.value for tree in nodes]),
        first=np.cumsum([0, *sizes[:-1]]).astype(np.int32),
        baseline=baseline,
        n_features=width,
    )


def _activated(values: Floats, activation: str) -> Floats:
    if activation == "relu":
        return np.maximum(values, 0)
    if activation == "tanh":
        return np.tanh(values)
    if activation == "logistic":
        from scipy.special import expit

        return np.asarray(expit(values))
    return values
