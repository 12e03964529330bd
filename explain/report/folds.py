"""The errors of a model on each fold, and its materials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explain.erasing.rows import StoredPredictions
from explain.report.model import FoldRow, MaterialRow, MetFormulas
from explain.report.outcomes import ClassPredictions
from featurestore.errors import MissingDataError
from featurestore.session import Session
from train.analysis.resampling import mean_estimates
from train.metrics import regression_metrics
from train.tasks.class_metrics import brier_scores, class_metrics
from train.tasks.classes import Classes
from train.tasks.numbers import Numbers


def fold_row(stored: StoredPredictions, fold: str) -> FoldRow:
    """The errors on one fold, each the mean over the seeds."""
    rows = stored.in_fold(fold)
    (error,) = mean_estimates(stored.errors[rows][:, None])
    if isinstance(stored, ClassPredictions):
        true = stored.true[rows]
        metrics = [class_metrics(true, of[rows]) for of in stored.probabilities]
        name, others = Classes.error, Classes.beside
    else:
        metrics = [regression_metrics(stored.targets[rows], of[rows]) for of in stored.predictions]
        name, others = Numbers.error, ("r2",)
    errors = [float(one[name] or 0.0) for one in metrics]
    return FoldRow(
        fold=fold,
        n=int(rows.sum()),
        error=error,
        seeds_std=float(np.std(errors, ddof=1)) if len(errors) > 1 else None,
        measures={other: _mean([one[other] for one in metrics]) for other in others},
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def constant_error(stored: StoredPredictions) -> float | None:
    """Test error of a constant; None without a test fold.

    It is the median of the training targets, or of classes their shares among these. Of a model
    that learned from all rows these are the tested ones.
    """
    train, test = stored.in_fold("train"), stored.in_fold("test")
    if not test.any():
        return None
    train = train if train.any() else test
    if isinstance(stored, ClassPredictions):
        counts = np.bincount(stored.true[train], minlength=stored.probabilities.shape[2])
        shares = np.tile(counts / counts.sum(), (int(test.sum()), 1))
        return float(brier_scores(stored.true[test], shares).mean())
    return float(np.abs(stored.targets[test] - np.median(stored.targets[train])).mean())


def met_formulas(stored: StoredPredictions, known: Sequence[MaterialRow]) -> MetFormulas | None:
    """None without a test fold; the estimate is NaN where the training has met them all.

    None, too, for a model that learned from all rows: each of its errors is of another training.
    """
    train, test = stored.in_fold("train"), stored.in_fold("test")
    if not test.any() or not train.any():
        return None
    formulas = np.array([row.formula for row in known])
    met = test & np.isin(formulas, formulas[train])
    (error,) = mean_estimates(stored.errors[test & ~met][:, None])
    return MetFormulas(int(met.sum()), int(test.sum()), error)


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
    predictions = stored.mean_predictions
    errors, probabilities = predictions - stored.targets, None
    if isinstance(stored, ClassPredictions):
        errors, probabilities = stored.errors, stored.mean.tolist()
    rows = []
    for i, material_id in enumerate(stored.material_ids):
        of = found.get(material_id)
        if of is None:
            raise MissingDataError(
                f"material {material_id!r}, which the model was trained or tested on, is gone; "
                "see: featurestore verify"
            )
        rows.append(
            MaterialRow(
                **of,
                target=float(stored.targets[i]),
                prediction=float(predictions[i]),
                error=float(errors[i]),
                probabilities=() if probabilities is None else tuple(probabilities[i]),
            )
        )
    return rows
