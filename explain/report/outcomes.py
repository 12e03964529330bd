"""What models of classes have said of their materials, and how far off that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from explain.erasing.rows import StoredPredictions
from featurestore.classes import class_names
from featurestore.session import Session
from train.models import SeedGroup
from train.tasks.class_metrics import brier_scores
from train.tasks.classes import named_sets


@dataclass(frozen=True, eq=False)
class ClassPredictions(StoredPredictions):
    """Stored predictions of classes: ``targets`` and ``predictions`` are places of classes.

    Parameters
    ----------
    probabilities : ndarray, shape (seeds, n, k), float64
        Of the k classes.
    sets : ndarray, shape (seeds, n, k), bool, or None
        Which classes are in the 90 % sets; None where a model has none.
    """

    probabilities: npt.NDArray[np.float64] = field(repr=False)
    sets: npt.NDArray[np.bool_] | None = field(repr=False)

    @property
    def true(self) -> npt.NDArray[np.int64]:
        """The places of the true classes: shape (n,)."""
        return self.targets.astype(np.int64)

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Probabilities, means over the seeds: shape (n, k)."""
        return np.asarray(self.probabilities.mean(axis=0))

    @property
    def mean_predictions(self) -> npt.NDArray[np.float64]:
        """The most probable class of the mean probabilities: shape (n,)."""
        return self.mean.argmax(axis=1).astype(np.float64)

    @property
    def errors(self) -> npt.NDArray[np.float64]:
        """Brier scores, averaged over the seeds: shape (n,)."""
        return np.asarray(np.mean([brier_scores(self.true, p) for p in self.probabilities], axis=0))


def class_predictions(session: Session, models: SeedGroup) -> ClassPredictions:
    """Read the predictions of models of classes that differ only by their seed."""
    rows = session.query(
        "SELECT model_id, material_id, fold, target, prediction, probabilities, class_set "
        "FROM predictions WHERE list_contains(?, model_id) ORDER BY model_id, material_id",
        [models.model_ids],
    )
    tables = [rows.filter(pc.equal(rows["model_id"], model.model_id)) for model in models]
    classes = models.parameters.classes
    sets = [_inside(table["class_set"].to_pylist(), classes) for table in tables]
    known = [one for one in sets if one is not None]
    return ClassPredictions(
        material_ids=tuple(tables[0]["material_id"].to_pylist()),
        folds=tuple(tables[0]["fold"].to_pylist()),
        targets=tables[0]["target"].to_numpy(),
        predictions=np.stack([table["prediction"].to_numpy() for table in tables]),
        places=(None,) * len(tables),
        probabilities=np.stack(
            [
                np.array(table["probabilities"].to_pylist(), dtype=np.float64).reshape(
                    len(table), len(classes)
                )
                for table in tables
            ]
        ),
        sets=np.stack(known) if len(known) == len(sets) else None,
    )


def class_points(session: Session, models: SeedGroup, fold: str | None = None) -> pa.Table:
    """What they said of each material, or of those of one fold.

    Returns
    -------
    pyarrow.Table
        material_id, formula, crystal_system, fold, target, prediction, class_set (of the first
        seed) and probabilities (mean over the seeds); classes by their names.
    """
    stored, classes = class_predictions(session, models), models.parameters.classes
    rows = np.array([fold in (None, one) for one in stored.folds], dtype=bool)
    ids = np.array(stored.material_ids)[rows].tolist()
    known = {
        row["material_id"]: row
        for row in session.query(
            "SELECT material_id, formula, crystal_system FROM materials "
            "WHERE list_contains(?, material_id)",
            [ids],
        ).to_pylist()
    }
    sets = None if stored.sets is None else named_sets(stored.sets[0][rows], classes)
    text = pa.string()
    return pa.table(
        {
            "material_id": pa.array(ids, text),
            **{
                name: pa.array([known.get(one, {}).get(name) for one in ids], text)
                for name in ("formula", "crystal_system")
            },
            "fold": pa.array(np.array(stored.folds)[rows].tolist(), text),
            "target": pa.array(class_names(stored.targets[rows], models.parameters.unit)),
            "prediction": pa.array(
                class_names(stored.mean_predictions[rows], models.parameters.unit)
            ),
            "class_set": pa.array([None] * len(ids) if sets is None else sets, pa.list_(text)),
            "probabilities": pa.array(stored.mean[rows].tolist(), pa.list_(pa.float64())),
        }
    )


def _inside(
    named: Sequence[Sequence[str] | None], classes: Sequence[str]
) -> npt.NDArray[np.bool_] | None:
    if any(one is None for one in named):
        return None
    inside = np.zeros((len(named), len(classes)), dtype=bool)
    for row, names in enumerate(named):
        inside[row, [classes.index(name) for name in names or ()]] = True
    return inside
