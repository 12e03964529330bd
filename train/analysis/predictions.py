"""The errors of stored predictions on the test fold, as arrays in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from featurestore.session import Session
from train.tasks.choose import task_of


@dataclass(frozen=True)
class FoldErrors:
    """Errors of one model.

    Parameters
    ----------
    material_ids : tuple of str
        The n test materials, sorted.
    errors : ndarray, shape (n,), float64
        Absolute errors in the unit of the property, or Brier scores of classes.
    """

    material_ids: tuple[str, ...]
    errors: npt.NDArray[np.float64] = field(repr=False)


def fold_errors(session: Session, model_ids: Sequence[str]) -> dict[str, FoldErrors]:
    """The error of each test material by each model; empty arrays where the fold is empty.

    Their mean is the error by which the property's models are compared, see `train.tasks`.
    """
    rows = session.query(
        "SELECT p.model_id, any_value(m.unit) AS unit, "
        "list({'material_id': p.material_id, 'target': p.target, 'prediction': p.prediction, "
        "'probabilities': p.probabilities} ORDER BY p.material_id) AS rows "
        "FROM predictions p JOIN models m USING (model_id) "
        "WHERE p.fold = 'test' AND list_contains(?, p.model_id) GROUP BY p.model_id",
        [list(model_ids)],
    ).to_pylist()
    found = {
        row["model_id"]: FoldErrors(
            tuple(one["material_id"] for one in row["rows"]),
            task_of(row["unit"]).errors(row["rows"]),
        )
        for row in rows
    }
    nothing = FoldErrors((), np.empty(0))
    return {model_id: found.get(model_id, nothing) for model_id in model_ids}
