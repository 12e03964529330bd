"""The stored predictions of models on the test fold, as arrays in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from featurestore.session import Session


@dataclass(frozen=True)
class FoldErrors:
    """Absolute errors of one model.

    Parameters
    ----------
    material_ids : tuple of str
        The n test materials, sorted.
    errors : ndarray, shape (n,), float64
        In the unit of the property.
    """

    material_ids: tuple[str, ...]
    errors: npt.NDArray[np.float64] = field(repr=False)


def absolute_errors(session: Session, model_ids: Sequence[str]) -> dict[str, FoldErrors]:
    """The absolute errors of each model on its test fold; empty arrays where that is empty."""
    rows = session.query(
        "SELECT model_id, list(material_id ORDER BY material_id) AS ids, "
        "list(abs(prediction - target) ORDER BY material_id) AS errors "
        "FROM predictions WHERE fold = 'test' AND list_contains(?, model_id) GROUP BY model_id",
        [list(model_ids)],
    ).to_pylist()
    found = {
        row["model_id"]: FoldErrors(tuple(row["ids"]), np.array(row["errors"], dtype=np.float64))
        for row in rows
    }
    nothing = FoldErrors((), np.empty(0))
    return {model_id: found.get(model_id, nothing) for model_id in model_ids}
