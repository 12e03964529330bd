"""How good probabilities of classes are, by scikit-learn's metrics, and how well they come true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Bins of the confidence for the calibration error.
BINS = 10
#: The metrics of a fold beside its number of rows.
MEASURES = ("accuracy", "balanced_accuracy", "auc", "brier", "log_loss", "ece")


def class_metrics(targets: Ints, probabilities: Floats) -> dict[str, int | float | None]:
    """Metrics of one fold.

    Parameters
    ----------
    targets : ndarray, shape (n,), int64
        True classes.
    probabilities : ndarray, shape (n, k), float64
        Of every class.

    Returns
    -------
    dict
        ``n``; ``accuracy`` of the most probable class; ``balanced_accuracy``, the mean over the
        classes that occur of the share of each that is found; ``auc``, the area under the ROC
        curve, of several classes the mean over these of each against the rest; ``brier``, see
        `brier_scores`; ``log_loss`` (natural logarithm); ``ece``, see `calibration_bins`. None
        where it is not defined: all without rows, ``auc`` where not every class with a
        probability, or only one, occurs.
    """
    from sklearn.metrics import accuracy_score, log_loss

    n, k = probabilities.shape
    if n == 0:
        return {"n": 0, **dict.fromkeys(MEASURES)}
    predicted = probabilities.argmax(axis=1)
    occurring = np.unique(targets)
    # scikit-learn's balanced accuracy, without its warnings of one class alone or of others
    recalls = [(predicted[targets == one] == one).mean() for one in occurring]
    return {
        "n": n,
        "accuracy": float(accuracy_score(targets, predicted)),
        "balanced_accuracy": float(np.mean(recalls)),
        "auc": _auc(targets, probabilities, occurring),
        "brier": float(brier_scores(targets, probabilities).mean()),
        "log_loss": float(log_loss(targets, probabilities, labels=np.arange(k))),
        "ece": calibration_error(calibration_bins(targets, probabilities)),
    }


def _auc(targets: Ints, probabilities: Floats, occurring: Ints) -> float | None:
    from sklearn.metrics import roc_auc_score

    if len(occurring) < 2:
        return None
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(targets, probabilities[:, 1]))
    areas = [roc_auc_score(targets == one, probabilities[:, one]) for one in occurring]
    return float(np.mean(areas))


def brier_scores(targets: Ints, probabilities: Floats) -> Floats:
    """The Brier score of each row, shape (n,).

    Of two classes the squared error of a class's probability, from 0 to 1; of more the sum of the
    squared errors of all, from 0 to 2 (Brier, Mon. Weather Rev. 1950, 78, 1), as scikit-learn's
    ``brier_score_loss`` has it.
    """
    squares = (probabilities - np.eye(probabilities.shape[1])[targets]) ** 2
    return np.asarray(squares[:, 1] if squares.shape[1] == 2 else squares.sum(axis=1))


def calibration_bins(targets: Ints, probabilities: Floats) -> list[dict[str, Any]]:
    """How often the most probable class is the true one, by its probability.

    Returns
    -------
    list of dict
        For each of `BINS` equal parts of 0 to 1 that holds rows: ``low``, ``high``, ``n``,
        ``confidence`` (mean probability) and ``accuracy``.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    places = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return [
        {
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "n": int(chosen.sum()),
            "confidence": float(confidence[chosen].mean()),
            "accuracy": float(right[chosen].mean()),
        }
        for place in range(BINS)
        if (chosen := places == place).any()
    ]


def calibration_error(bins: list[dict[str, Any]]) -> float:
    """The expected calibration error: the mean over rows of |confidence - accuracy| of their bin.

    Naeini, Cooper and Hauskrecht, AAAI 2015, 2901; of the most probable class, as Guo, Pleiss, Sun
    and Weinberger, ICML 2017, 1321. It is biased upwards where bins hold few rows.
    """
    n = sum(one["n"] for one in bins)
    gaps = (one["n"] * abs(one["confidence"] - one["accuracy"]) for one in bins)
    return float(sum(gaps) / n) if n else math.nan


def confusion(targets: Ints, probabilities: Floats) -> list[list[int]]:
    """Rows by true class (outer) and most probable class (inner), by place."""
    from sklearn.metrics import confusion_matrix

    k = probabilities.shape[1]
    found = confusion_matrix(targets, probabilities.argmax(axis=1), labels=np.arange(k))
    return [[int(one) for one in row] for row in found]
