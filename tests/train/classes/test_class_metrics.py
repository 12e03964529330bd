"""Metrics of classes against scikit-learn's and by hand; sets hold their share."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as theirs

from train.predictors.classes.probabilities import best_temperature, log_loss, of_scores, tempered
from train.predictors.classes.sets import ClassSets
from train.tasks.class_metrics import (
    MEASURES,
    brier_scores,
    calibration_bins,
    calibration_error,
    class_metrics,
    confusion,
)


def drawn(k: int, n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True classes drawn from the very probabilities."""
    random = np.random.default_rng(seed)
    probabilities = of_scores(random.normal(size=(n, k)) * 2)
    targets = np.array([random.choice(k, p=row) for row in probabilities])
    return targets, probabilities


@pytest.mark.parametrize("k", [2, 4])
def test_metrics_are_scikit_learns(k: int) -> None:
    targets, p = drawn(k)
    found = class_metrics(targets, p)
    predicted = p.argmax(axis=1)
    assert found["n"] == 400
    assert found["accuracy"] == theirs.accuracy_score(targets, predicted)
    assert found["balanced_accuracy"] == theirs.balanced_accuracy_score(targets, predicted)
    assert found["log_loss"] == pytest.approx(theirs.log_loss(targets, p))
    second = p[:, 1] if k == 2 else p
    assert found["auc"] == pytest.approx(theirs.roc_auc_score(targets, second, multi_class="ovr"))
    assert found["brier"] == pytest.approx(theirs.brier_score_loss(targets, second))
    assert np.array_equal(confusion(targets, p), theirs.confusion_matrix(targets, predicted))
    # drawn from what is told: nearly calibrated, and made sharper not
    sharper = class_metrics(targets, tempered(p, 0.3))
    assert found["ece"] < 0.08 < sharper["ece"]


def test_metrics_where_classes_lack() -> None:
    assert class_metrics(np.empty(0, int), np.empty((0, 3))) == {"n": 0, **dict.fromkeys(MEASURES)}
    one = class_metrics(np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]]))
    assert (one["auc"], one["accuracy"], one["balanced_accuracy"]) == (None, 0.5, 0.5)
    with warnings.catch_warnings(action="error"):
        alone = class_metrics(np.array([1, 1]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    assert alone["balanced_accuracy"] == 1
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]])
    assert class_metrics(np.array([0, 1, 0]), p)["auc"] == 1.0
    assert np.isnan(calibration_error([]))


def test_brier_scores_and_bins_by_hand() -> None:
    assert brier_scores(np.array([1, 0]), np.array([[0.3, 0.7], [0.4, 0.6]])) == pytest.approx(
        [0.09, 0.36]
    )
    three = brier_scores(np.array([2]), np.array([[0.2, 0.3, 0.5]]))
    assert three == pytest.approx([0.04 + 0.09 + 0.25])
    p = np.array([[0.05, 0.95], [0.08, 0.92], [0.62, 0.38], [0.0, 1.0]])
    bins = calibration_bins(np.array([1, 0, 0, 1]), p)
    assert [(one["low"], one["n"]) for one in bins] == [(0.6, 1), (0.9, 3)]
    assert bins[1]["accuracy"] == pytest.approx(2 / 3)
    expected = (abs(0.62 - 1) + 3 * abs((0.95 + 0.92 + 1.0) / 3 - 2 / 3)) / 4
    assert calibration_error(bins) == pytest.approx(expected)


def test_temperature_undoes_what_makes_probabilities_too_sharp() -> None:
    targets, p = drawn(3, 2000)
    assert best_temperature(tempered(p, 0.5), targets) == pytest.approx(2.0, rel=0.15)
    again = tempered(tempered(p, 0.5), 2.0)
    assert log_loss(again, targets) == pytest.approx(log_loss(p, targets), rel=1e-3)


@pytest.mark.parametrize("k", [2, 5])
def test_sets_hold_their_share_on_average(k: int) -> None:
    """Over many draws of 60 validation rows the coverage is at least nominal, and not far more."""
    covered, sizes = [], []
    for seed in range(60):
        targets, p = drawn(k, 260, seed)
        # badly calibrated probabilities are no matter
        p = tempered(p, 0.4)
        sets = ClassSets.of(p[:60], targets[:60])
        assert sets is not None
        inside = sets(p[60:], 0.90)
        covered.append(inside[np.arange(200), targets[60:]].mean())
        sizes.append(inside.sum(axis=1).mean())
        assert inside.any(axis=1).all()
        assert (sets(p[60:], 0.95) >= inside).all()
    assert 0.89 <= np.mean(covered) <= 0.94
    assert 1 < np.mean(sizes) < k
    assert ClassSets.of(p[:18], targets[:18]) is None


def test_sets_hold_their_share_of_a_rare_class() -> None:
    """Of each class with 19 rows or more; the others, calibrated together, on their average."""
    shares = np.array([0.64, 0.2, 0.05, 0.05, 0.03, 0.03])
    held: dict[int, list[float]] = {k: [] for k in range(6)}
    for seed in range(80):
        generator = np.random.default_rng(seed)
        targets = generator.choice(6, size=1500, p=shares)
        scores = generator.normal(size=(1500, 6)) + 1.4 * np.eye(6)[targets] + np.log(shares)
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        sets = ClassSets.of(p[:500], targets[:500])
        assert sets is not None
        inside = sets(p[500:], 0.90)[np.arange(1000), targets[500:]]
        for k in range(6):
            held[k].append(inside[targets[500:] == k].mean())
        few = ClassSets.of(p[:100], targets[:100])
        assert few is not None and few.thresholds.shape == (3, 6)
        n_of = np.bincount(targets[:100], minlength=6)
        assert len(set(few.thresholds[1][n_of < 19])) <= 1
    for k in range(4):
        # the most probable class is always in, so that the most frequent one is held more often
        assert 0.88 <= np.mean(held[k]) <= (0.96 if k else 0.98), k
    # some 15 rows each: calibrated together, and by all rows where they have not 19 together
    assert np.mean(held[4] + held[5]) > 0.8
