"""Gradient-boosted trees for classes: scikit-learn fits them, flat arrays keep them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.output.progress import Progress
from train.predictors.base import Epoch, Examples
from train.predictors.baselines.boosted_trees import Trees, TreeSettings, flat_trees
from train.predictors.classes.classifier import Arrays, Floats, Learned
from train.predictors.classes.probabilities import log_loss, of_scores, true_class_error


@dataclass(frozen=True)
class TreesOfClasses:
    """Boosted trees for each class, or for the second of two.

    Parameters
    ----------
    outputs : tuple of Trees
        Their sums are the scores: logarithms of odds, or of probabilities but for a constant.
    """

    outputs: tuple[Trees, ...] = field(repr=False)

    @property
    def n_features(self) -> int:
        """Width of the features."""
        return self.outputs[0].n_features

    def probabilities(self, features: npt.NDArray[Any]) -> Floats:
        """Of the classes it saw, shape (n, seen)."""
        return of_scores(np.column_stack([trees.predict(features) for trees in self.outputs]))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of each output's trees."""
        return {
            f"{number}.{name}": value
            for number, trees in enumerate(self.outputs)
            for name, value in trees.to_arrays().items()
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> TreesOfClasses:
        """Restore what `to_arrays` gave; raises as `Trees.from_arrays`."""
        parts: dict[int, dict[str, npt.NDArray[Any]]] = {}
        for name, value in arrays.items():
            number, _, rest = name.partition(".")
            parts.setdefault(int(number), {})[rest] = value
        return cls(tuple(Trees.from_arrays(parts[number]) for number in sorted(parts)))


@dataclass(frozen=True)
class BoostedTreesOfClasses(TreeSettings):
    """Histogram gradient boosting of the log loss (Ke et al., LightGBM, NeurIPS 2017).

    Trees stop by the validation rows, and those after the lowest validation log loss are cut off.
    """

    def learn(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Learned:
        """Grow trees; the seed is of the features that splits look at."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        wanted, held = train.targets.astype(np.int64), val.targets.astype(np.int64)
        fitted = HistGradientBoostingClassifier(**self.of_sklearn(seed)).fit(
            train.features, wanted, X_val=val.features, y_val=held
        )
        losses, errors = [], []
        for probabilities in _staged(fitted, val.features):
            losses.append(log_loss(probabilities, held))
            errors.append(true_class_error(probabilities, held))
        of_train = [true_class_error(one, wanted) for one in _staged(fitted, train.features)]
        best = int(np.argmin(losses))
        pairs = list(zip(of_train, errors, strict=True))[1:]
        history = [Epoch(number, *pair) for number, pair in enumerate(pairs, 1)]
        progress.update(len(history))
        outputs = (
            fitted._predictors[0]
            if fitted._predictors
            else range(max(1, fitted.n_trees_per_iteration_))
        )
        width = train.features.shape[1]
        scorer = TreesOfClasses(
            tuple(flat_trees(fitted, best, width, place) for place in range(len(outputs)))
        )
        return Learned(scorer, scorer, history, best)


def _staged(fitted: Any, features: npt.NDArray[Any]) -> Iterator[Floats]:
    """Probabilities by the first 0, 1, … trees."""
    baseline = np.tile(np.reshape(fitted._baseline_prediction, (1, -1)), (len(features), 1))
    yield of_scores(baseline)
    yield from fitted.staged_predict_proba(features)
