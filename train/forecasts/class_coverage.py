"""How many test targets the 90 % sets of classes hold, and how large these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.store import FeatureStore
from train.crossfit.class_sets import ClassCrossCalibration, out_of_fold_sets
from train.forecasts.classes import ToldOfClasses, stored_probabilities
from train.forecasts.group import LoadedGroup
from train.predictors.uncertainty import STORED_LEVEL
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


def out_of_fold_told(
    store: FeatureStore, group: LoadedGroup, names: Sequence[str]
) -> ToldOfClasses:
    """What models of all rows have stored of these materials, with sets by the other folds.

    What they say of them now, they say having learned from them.
    """
    with store.session() as session:
        known, probabilities, targets = stored_probabilities(session, group.stored, names)
    domain, cross = group.knowledge.domain, group.knowledge.cross
    assert isinstance(cross, ClassCrossCalibration)
    if known != list(names) or len(cross.fold_of) != len(domain.material_ids):
        return ToldOfClasses(probabilities, None)
    fold_of = cross.fold_of[domain.rows_of(known)]
    sets = out_of_fold_sets(probabilities, targets, fold_of)
    return ToldOfClasses(probabilities, None if sets is None else sets[STORED_LEVEL])
