"""How many test targets the 90 % sets of classes hold, and how large these are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from train.forecasts.classes import ToldOfClasses
from train.tasks.class_metrics import brier_scores

_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("n", pa.int64()),
        *[(name, pa.float64()) for name in ("brier", "covered", "set_size")],
    ]
)


def coverage_of_sets(
    told: ToldOfClasses,
    targets: npt.NDArray[np.float64],
    parts: Mapping[str, npt.NDArray[np.bool_]],
) -> pa.Table:
    """For each part n, the Brier score, and the coverage and mean size of the sets.

    Parameters
    ----------
    told : ToldOfClasses
        Of n rows.
    targets : ndarray, shape (n,), float64
        Places of the true classes.
    parts : mapping of str to ndarray, shape (n,), bool
        See `train.forecasts.parts.parts_of`.
    """
    made = []
    if told.sets is not None and len(targets):
        places = targets.astype(np.int64)
        errors = brier_scores(places, told.probabilities)
        held, sizes = told.sets[np.arange(len(places)), places], told.sets.sum(axis=1)
        made = [
            {
                "part": part,
                "n": int(rows.sum()),
                "brier": float(errors[rows].mean()),
                "covered": float(held[rows].mean()),
                "set_size": float(sizes[rows].mean()),
            }
            for part, rows in parts.items()
        ]
    return pa.Table.from_pylist(made, schema=_SCHEMA)
