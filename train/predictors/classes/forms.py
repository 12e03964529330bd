"""What fitted classifiers of scikit-learn come down to: arrays and a formula, with its predictions.

Four forms cover them: linear scores, averaged trees, boosted trees and layers; and neighbours,
which are indexed anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from train.predictors.baselines.boosted_trees import Trees, flat_trees
from train.predictors.classes.boosted_trees import TreesOfClasses
from train.predictors.classes.classifier import Arrays, Floats
from train.predictors.classes.probabilities import of_scores
from train.predictors.estimators.forms import KeptRows, Layers, joined_trees

#: By name the module that has it; those whose probabilities one of the forms gives.
MODULES: Mapping[str, str] = {
    "LogisticRegression": "sklearn.linear_model",
    "LogisticRegressionCV": "sklearn.linear_model",
    "LinearDiscriminantAnalysis": "sklearn.discriminant_analysis",
    "KNeighborsClassifier": "sklearn.neighbors",
    "MLPClassifier": "sklearn.neural_network",
    "DecisionTreeClassifier": "sklearn.tree",
    "ExtraTreeClassifier": "sklearn.tree",
    "ExtraTreesClassifier": "sklearn.ensemble",
    "GradientBoostingClassifier": "sklearn.ensemble",
    "HistGradientBoostingClassifier": "sklearn.ensemble",
    "RandomForestClassifier": "sklearn.ensemble",
}


@dataclass(frozen=True)
class LinearScores:
    """Softmax of x · coefficients + intercepts; of one column the logistic function.

    Parameters
    ----------
    coefficients : ndarray, shape (width, m), float64
    intercepts : ndarray, shape (m,), float64
    """

    coefficients: Floats
    intercepts: Floats

    def probabilities(self, rows: Floats) -> Floats:
        """Shape (n, classes), for rows of shape (n, width)."""
        return of_scores(rows @ self.coefficients + self.intercepts)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Both."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> LinearScores:
        """Restore what `to_arrays` gave."""
        return cls(**arrays)


@dataclass(frozen=True)
class ForestOfClasses:
    """The mean over trees of their leaves' shares of the classes.

    Parameters
    ----------
    trees : Trees
        Whose values have a column for each class.
    """

    trees: Trees = field(repr=False)

    def probabilities(self, rows: Floats) -> Floats:
        """Shape (n, classes); rows are compared in float32, as scikit-learn's trees do."""
        return self.trees.predict(rows.astype(np.float32)) / len(self.trees.first)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The trees' arrays."""
        return self.trees.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ForestOfClasses:
        """Restore what `to_arrays` gave; raises as `Trees.from_arrays`."""
        return cls(Trees.from_arrays(arrays))


@dataclass(frozen=True)
class Boosted:
    """Boosted trees; ``single`` says that rows are compared in float32."""

    trees: TreesOfClasses = field(repr=False)
    single: bool

    def probabilities(self, rows: Floats) -> Floats:
        """Shape (n, classes)."""
        return self.trees.probabilities(rows.astype(np.float32) if self.single else rows)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The trees' arrays, and how rows are compared."""
        return self.trees.to_arrays() | {"single": np.array([self.single])}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Boosted:
        """Restore what `to_arrays` gave; raises as `Trees.from_arrays`."""
        rest = dict(arrays)
        single = bool(rest.pop("single")[0])
        return cls(TreesOfClasses.from_arrays(rest), single)


@dataclass(frozen=True)
class LayersOfClasses:
    """A fully connected network with a score for each class, or for the second of two."""

    layers: Layers = field(repr=False)

    def probabilities(self, rows: Floats) -> Floats:
        """Shape (n, classes)."""
        return of_scores(self.layers.outputs(rows))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The layers' arrays."""
        return self.layers.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> LayersOfClasses:
        """Restore what `to_arrays` gave."""
        return cls(Layers.from_arrays(arrays))


class NeighboursOfClasses(KeptRows):
    """The shares of the classes among the nearest training rows."""

    def probabilities(self, rows: Floats) -> Floats:
        """Shape (n, classes)."""
        from sklearn.neighbors import KNeighborsClassifier

        fitted = KNeighborsClassifier(**self.parameters).fit(self.rows, self.targets)
        return np.asarray(fitted.predict_proba(rows))


#: By the name that the arrays of each bear.
FORMS: Mapping[str, Any] = {
    "linear": LinearScores,
    "forest": ForestOfClasses,
    "boosted": Boosted,
    "layers": LayersOfClasses,
    "neighbours": NeighboursOfClasses,
}


def class_form_of(fitted: Any, rows: Floats, targets: npt.NDArray[np.int64]) -> Any:
    """What a fitted classifier of `MODULES` comes down to.

    Parameters
    ----------
    fitted : object
        scikit-learn's.
    rows : ndarray, shape (n, width), float64
        Which it was fitted on, with ``targets``, shape (n,).
    """
    name, width = type(fitted).__name__, rows.shape[1]
    if name == "KNeighborsClassifier":
        return NeighboursOfClasses(rows, targets, fitted.get_params(deep=False))
    if name == "MLPClassifier":
        layers = Layers(
            tuple(fitted.coefs_), tuple(fitted.intercepts_), fitted.activation, "identity"
        )
        return LayersOfClasses(layers)
    if name == "HistGradientBoostingClassifier":
        outputs = range(fitted.n_trees_per_iteration_)
        trees = (flat_trees(fitted, fitted.n_iter_, width, place) for place in outputs)
        return Boosted(TreesOfClasses(tuple(trees)), single=False)
    if name == "GradientBoostingClassifier":
        return Boosted(_gradient_boosted(fitted, width), single=True)
    if hasattr(fitted, "tree_") or hasattr(fitted, "estimators_"):
        members = list(getattr(fitted, "estimators_", [fitted]))
        columns = [np.arange(width)] * len(members)
        values = [member.tree_.value[:, 0, :] for member in members]
        return ForestOfClasses(joined_trees(members, columns, values, 0.0, width))
    return LinearScores(
        np.ascontiguousarray(fitted.coef_.T, dtype=np.float64),
        np.asarray(fitted.intercept_, dtype=np.float64),
    )


def _gradient_boosted(fitted: Any, width: int) -> TreesOfClasses:
    shares = np.clip(fitted.init_.class_prior_, np.finfo(np.float32).eps, None)
    found = []
    for place in range(fitted.estimators_.shape[1]):
        members = list(fitted.estimators_[:, place])
        values = [fitted.learning_rate * one.tree_.value[:, 0, 0] for one in members]
        start = float(
            np.log(shares[1] / shares[0])
            if fitted.estimators_.shape[1] == 1
            else np.log(shares[place])
        )
        columns = [np.arange(width)] * len(members)
        found.append(joined_trees(members, columns, values, start, width))
    return TreesOfClasses(tuple(found))
