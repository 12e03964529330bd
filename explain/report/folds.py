"""The errors of a model on each fold, and its materials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explain.erasing.rows import StoredPredictions
from explain.report.model import FoldRow, MaterialRow, MetFormulas
from featurestore.errors import MissingDataError
from featurestore.session import Session
from train.analysis.resampling import mean_estimates
from train.metrics import regression_metrics


def fold_row(stored: StoredPredictions, fold: str) -> FoldRow:
    """The errors on one fold, each the mean over the seeds."""
    rows = stored.in_fold(fold)
    (mae,) = mean_estimates(stored.errors[rows][:, None])
    metrics = [regression_metrics(stored.targets[rows], of[rows]) for of in stored.predictions]
    maes, r2 = [m["mae"] for m in metrics], [m["r2"] for m in metrics]
    return FoldRow(
        fold=fold,
        n=int(rows.sum()),
        mae=mae,
        seeds_std=float(np.std([x for x in maes if x is not None], ddof=1))
        if len(maes) > 1
        else None,
        r2=None if None in r2 else float(np.mean([x for x in r2 if x is not None])),
    )


def constant_error(stored: StoredPredictions) -> float | None:
    """Test MAE of the median of the training targets; None without a test fold."""
    train, test = stored.in_fold("train"), stored.in_fold("test")
    if not test.any():
        return None
    return float(np.abs(stored.targets[test] - np.median(stored.targets[train])).mean())


def met_formulas(stored: StoredPredictions, known: Sequence[MaterialRow]) -> MetFormulas | None:
    """None without a test fold; the estimate is NaN where the training has met them all."""
    train, test = stored.in_fold("train"), stored.in_fold("test")
    if not test.any():
        return None
    formulas = np.array([row.formula for row in known])
    met = test & np.isin(formulas, formulas[train])
    (mae,) = mean_estimates(stored.errors[test & ~met][:, None])
    return MetFormulas(int(met.sum()), int(test.sum()), mae)


def by_error(stored: StoredPredictions) -> list[int]:
    """The test rows, the best predicted first."""
    errors = stored.errors
    return sorted(np.flatnonzero(stored.in_fold("test")).tolist(), key=lambda i: errors[i])


def material_rows(session: Session, stored: StoredPredictions) -> list[MaterialRow]:
    """Every predicted material with its formula, symmetry and mean prediction, in their order."""
    found = {
        row["material_id"]: row
        for row in session.query(
            "SELECT material_id, formula, space_group, crystal_system FROM materials "
            "WHERE list_contains(?, material_id)",
            [list(stored.material_ids)],
        ).to_pylist()
    }
    predictions = stored.predictions.mean(axis=0)
    rows = []
    for i, material_id in enumerate(stored.material_ids):
        of = found.get(material_id)
        if of is None:
            raise MissingDataError(
                f"material {material_id!r}, which the model was trained or tested on, is gone; "
                "see: featurestore verify"
            )
        target, prediction = float(stored.targets[i]), float(predictions[i])
        rows.append(
            MaterialRow(**of, target=target, prediction=prediction, error=prediction - target)
        )
    return rows
