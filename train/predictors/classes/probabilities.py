"""Scores to probabilities, and probabilities made flatter or sharper."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Least probability that a logarithm is taken of.
LEAST = 1e-6


def of_scores(scores: Floats) -> Floats:
    """Softmax of scores (n, k); of one column the logistic function, for the second of two classes.

    Returns
    -------
    ndarray, shape (n, k), k at least 2, float64
        Rows have the sum 1.
    """
    from scipy.special import expit, softmax

    if scores.shape[1] == 1:
        second = expit(scores[:, 0])
        return np.column_stack([1 - second, second])
    return np.asarray(softmax(scores, axis=1))


def normalised(values: Floats) -> Floats:
    """What is meant as probabilities, shape (n, k), cut at `LEAST`, each row with the sum 1."""
    cut = np.clip(values, LEAST, 1.0)
    return np.asarray(cut / cut.sum(axis=1, keepdims=True))


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """Softmax of log p / temperature: flatter above 1, sharper below.

    Temperature scaling (Guo, Pleiss, Sun and Weinberger, ICML 2017, 1321).
    """
    from scipy.special import softmax

    return np.asarray(softmax(np.log(normalised(probabilities)) / temperature, axis=1))


def log_loss(probabilities: Floats, targets: npt.NDArray[np.int64]) -> float:
    """Mean of minus the logarithm of the true classes' probabilities, cut at `LEAST`."""
    true = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(true, LEAST)).mean())


def best_temperature(probabilities: Floats, targets: npt.NDArray[np.int64]) -> float:
    """The temperature, from 1/4 to 8, of the lowest log loss on these rows."""
    candidates = np.exp(np.linspace(np.log(0.25), np.log(8.0), 61))
    losses = [log_loss(tempered(probabilities, one), targets) for one in candidates]
    return float(candidates[int(np.argmin(losses))])


def true_class_error(probabilities: Floats, targets: npt.NDArray[np.int64]) -> float:
    """Mean of one less the true class's probability."""
    if not len(targets):
        return float("nan")
    return float(1 - probabilities[np.arange(len(targets)), targets].mean())
