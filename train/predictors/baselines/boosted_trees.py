"""Gradient-boosted trees on any features: scikit-learn fits them, flat arrays keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples, Fitted, OnVectors
from train.predictors.errors import TrainingError


@dataclass(frozen=True)
class Trees(OnVectors):
    """Regression trees of one ensemble, their nodes in one array after another.

    Parameters
    ----------
    feature : ndarray, shape (n_nodes,), int32
        Column that a node asks about; -1 in a leaf.
    threshold : ndarray, shape (n_nodes,), float64
        A row goes left if its value is at most this.
    left, right : ndarray, shape (n_nodes,), int32
        Children, counted from the first node of the tree.
    value : ndarray, shape (n_nodes,) or (n_nodes, k), float64
        What a leaf adds to the prediction, in the unit of the targets, or to k of them.
    first : ndarray, shape (n_trees,), int32
        Where each tree begins: its root.
    baseline : float
        What the leaves are added to.
    n_features : int
        Width of the features.
    """

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    first: npt.NDArray[np.int32]
    baseline: float
    n_features: int

    @classmethod
    def from_bytes(cls, settings: Mapping[str, Any], weights: bytes) -> Trees:
        """Restore trees from their safetensors bytes."""
        return cls.from_arrays(load_arrays(weights))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Trees:
        """Restore what `to_arrays` gave.

        Raises
        ------
        ValueError
            If a node's child does not come after it within the arrays, as in no grown tree: rows
            would go round in circles.
        """
        rest = dict(arrays)
        baseline, n_features = rest.pop("baseline")[0], rest.pop("n_features")[0]
        trees = cls(**rest, baseline=float(baseline), n_features=int(n_features))
        trees._check()
        return trees

    def _check(self) -> None:
        inner = np.flatnonzero(self.feature >= 0)
        sizes = np.diff([*self.first, len(self.feature)])
        root = np.repeat(self.first, sizes)[inner]
        for child in (self.left[inner], self.right[inner]):
            if (child <= inner - root).any() or (root + child >= len(self.feature)).any():
                raise ValueError("a tree's node has a child that does not come after it")
        if (self.feature >= self.n_features).any():
            raise ValueError("a tree's node asks about a column that there is not")

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,) or (n, k), for features of shape (n, n_features).

        All rows go down one tree together, a level at a time.
        """
        result = np.full((len(features), *self.value.shape[1:]), self.baseline)
        rows = np.arange(len(features))
        for root in self.first:
            at = np.full(len(features), root)
            while len(inner := np.flatnonzero(self.feature[at] >= 0)):
                node = at[inner]
                goes_left = features[rows[inner], self.feature[node]] <= self.threshold[node]
                at[inner] = root + np.where(goes_left, self.left[node], self.right[node])
            result += self.value[at]
        return result

    def to_bytes(self) -> bytes:
        """The arrays, in the safetensors format."""
        return bytes(save_arrays(self.to_arrays()))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays, and the numbers as arrays of one."""
        arrays = {name: value for name, value in vars(self).items() if np.ndim(value)}
        numbers = {
            "baseline": np.array([self.baseline]),
            "n_features": np.array([self.n_features]),
        }
        return {**arrays, **numbers}


@dataclass(frozen=True)
class TreeSettings:
    """Settings of the boosting, whatever it learns.

    Parameters
    ----------
    learning_rate : float
        Shrinkage of each tree.
    max_leaves : int
        Most leaves of a tree.
    min_rows_a_leaf : int
        Fewest training rows of a leaf.
    share_of_features : float
        Of the columns, how many a split may choose among.
    max_epochs : int
        Most trees.
    patience : int
        Trees without a lower validation error after which training stops.
    """

    learning_rate: float = 0.05
    max_leaves: int = 31
    min_rows_a_leaf: int = 10
    share_of_features: float = 0.5
    max_epochs: int = 2000
    patience: int = 100

    name: ClassVar[str] = "gbt"

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters as JSON values."""
        return dict(vars(self))

    def of_sklearn(self, seed: int) -> dict[str, Any]:
        """By the names that scikit-learn has for them."""
        return {
            "learning_rate": self.learning_rate,
            "max_iter": self.max_epochs,
            "max_leaf_nodes": self.max_leaves,
            "min_samples_leaf": self.min_rows_a_leaf,
            "max_features": self.share_of_features,
            "early_stopping": True,
            "n_iter_no_change": self.patience,
            "random_state": seed,
        }


@dataclass(frozen=True)
class BoostedTrees(TreeSettings, OnVectors):
    """Histogram gradient boosting (Ke et al., LightGBM, NeurIPS 2017), scikit-learn's.

    Trees are grown for each loss, stop by the validation rows, and those after the lowest
    validation MAE are cut off; the loss with the lower one is kept. The absolute error alone would
    not do: where most targets are zero and none is less, as band gaps, its slope is the same for
    all rows, and no split is better than none.
    Each split looks at a random half of the features, which is what the seed decides.

    Parameters
    ----------
    losses : tuple of str
        scikit-learn's names of the losses to try; the others are those of `TreeSettings`.
    """

    losses: tuple[str, ...] = ("absolute_error", "squared_error")

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters as JSON values."""
        return {**super().settings, "losses": list(self.losses)}

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Grow trees.

        Parameters
        ----------
        train, val : Examples
            Rows to learn from, and to stop by.
        seed : int
            Of the features that splits look at.
        progress : Progress
            Told of the trees, all at the end.

        Raises
        ------
        TrainingError
            If the error is no finite number.
        """
        grown = [self._grown(loss, train, val, seed) for loss in self.losses]
        by_loss = [_errors(trees, val) for trees in grown]
        kept = min(range(len(grown)), key=lambda number: by_loss[number].min())
        trees = grown[kept]
        errors = np.column_stack([_errors(trees, train), by_loss[kept]])
        if not np.isfinite(errors).all():
            raise TrainingError("the training diverged: look for outliers among the targets")
        best = int(np.argmin(errors[:, 1]))
        history = [Epoch(n, *map(float, row)) for n, row in enumerate(errors) if n > 0]
        progress.update(len(history))
        # Boosting may end before the first tree, and the best tree may be none.
        predictor = flat_trees(trees, best, train.features.shape[1])
        return Fitted(
            predictor=predictor, history=history, best_epoch=best, details={"loss": trees.loss}
        )

    def _grown(self, loss: str, train: Examples, val: Examples, seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(loss=loss, **self.of_sklearn(seed)).fit(
            train.features, train.targets, X_val=val.features, y_val=val.targets
        )


def _errors(fitted: Any, rows: Examples) -> npt.NDArray[np.float64]:
    """The mean absolute error of a fitted regressor's first 0, 1, … trees."""
    baseline = np.ravel(fitted._baseline_prediction)[:1]
    staged = chain([baseline], fitted.staged_predict(rows.features))
    return np.array([np.abs(predictions - rows.targets).mean() for predictions in staged])


def flat_trees(fitted: Any, n_trees: int, n_features: int, output: int = 0) -> Trees:
    """The first trees of a fitted regressor; scikit-learn's own nodes would need pickle.

    Of a classifier those of one ``output``: of the only one for two classes, else of a class.
    """
    trees = [predictors[output].nodes for predictors in fitted._predictors[:n_trees]]
    sizes = [len(nodes) for nodes in trees]

    def joined(field: str, kind: type) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, kind), *[nodes[field].astype(kind) for nodes in trees]])

    leaf = joined("is_leaf", np.int32).astype(bool)
    return Trees(
        feature=np.where(leaf, -1, joined("feature_idx", np.int32)).astype(np.int32),
        threshold=np.where(leaf, 0.0, joined("num_threshold", np.float64)),
        left=joined("left", np.int32),
        right=joined("right", np.int32),
        value=joined("value", np.float64),
        first=np.array(list(accumulate([0, *sizes[:-1]])) if sizes else [], dtype=np.int32),
        baseline=float(np.ravel(fitted._baseline_prediction)[output]),
        n_features=n_features,
    )
