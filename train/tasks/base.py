"""The small interface at which models of numbers and of classes meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from featurestore.views.view import TrainingView
from train.predictors.base import Predictor

Floats = npt.NDArray[np.float64]
Folds = Mapping[str, npt.NDArray[np.bool_]]


class Said(Protocol):
    """What a predictor says of n rows."""

    def replaced(self, rows: npt.NDArray[np.bool_], others: Any) -> Said:
        """The same with what is said of the chosen rows, shape (n,), being that of ``others``."""
        ...

    def finite(self) -> npt.NDArray[np.bool_]:
        """For which rows all of it is finite, shape (n,)."""
        ...

    def columns(self) -> dict[str, Any]:
        """The columns of the table ``predictions`` that it fills."""
        ...


class Task(Protocol):
    """What is asked of the models of one property."""

    @property
    def error(self) -> str:
        """The name of the error by which models are compared, in metrics: the lower the better."""
        ...

    @property
    def error_name(self) -> str:
        """The same for people: ``MAE``."""
        ...

    @property
    def error_unit(self) -> str:
        """The unit of that error; "1" where it has none."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of all metrics of a fold beside its number of rows."""
        ...

    @property
    def beside(self) -> tuple[str, ...]:
        """Those of them that tables of models have beside the error."""
        ...

    def check(self, view: TrainingView, folds: Folds) -> list[str]:
        """Notes on the targets of a view.

        Raises
        ------
        InvalidInputError, MissingDataError
            If they cannot be learned from.
        """
        ...

    def said(self, predictor: Predictor, inputs: npt.NDArray[Any]) -> Any:
        """What a predictor says of rows, a `Said`."""
        ...

    def said_out_of_fold(
        self, rows: Sequence[Mapping[str, Any]], fold_of: npt.NDArray[np.int64]
    ) -> Any:
        """What rows of ``predictions`` hold, a `Said`, each by a model that did not learn from it.

        How far off it may be is told by the rows of the other folds; ``fold_of`` has shape (n,).
        """
        ...

    def metrics(self, targets: Floats, said: Any, folds: Folds) -> dict[str, Any]:
        """``folds``: the metrics of each; and what is told of the test fold beside."""
        ...

    def errors(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """For rows of ``predictions`` the error of each, whose mean is `error`, shape (n,)."""
        ...
