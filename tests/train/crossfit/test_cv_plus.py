"""CV+ against its definition, written out: a point at a time, sorted lists, whole ranks."""

from __future__ import annotations

import numpy as np
import pytest

from train.crossfit.cv_plus import CrossCalibration, cv_plus, out_of_fold_uncertainty
from train.forecasts.calibration import UNCALIBRATED, Calibration


def by_definition(of_folds, scale, errors, fold_of, alpha):  # type: ignore[no-untyped-def]
    """The interval of one material: Barber et al. 2021, equation 6 with the text below it."""
    n = len(errors)
    low = sorted(of_folds[k] - r * scale for r, k in zip(errors, fold_of, strict=True))
    high = sorted(of_folds[k] + r * scale for r, k in zip(errors, fold_of, strict=True))
    at_low = int(np.floor(round(alpha * (n + 1), 9)))
    at_high = int(np.ceil(round((1 - alpha) * (n + 1), 9)))
    return low[at_low - 1], high[at_high - 1]


@pytest.mark.parametrize("level", [0.9, 0.8, 0.68])
@pytest.mark.parametrize("n", [9, 10, 23, 60, 199])
def test_the_ends_are_those_of_the_definition(n: int, level: float) -> None:
    random = np.random.default_rng(n)
    fold_of = np.sort(random.integers(0, 5, n))
    errors, of_folds = random.exponential(size=n), random.normal(size=(40, 5))
    scales = random.uniform(0.5, 2.0, 40)
    found = cv_plus(of_folds, scales, errors, fold_of, level)
    assert found is not None
    for row in range(40):
        wanted = by_definition(of_folds[row], scales[row], errors, fold_of, 1 - level)
        assert (found[0][row], found[1][row]) == pytest.approx(wanted, abs=1e-12)


def test_too_few_materials_give_no_interval_and_a_deviation_that_says_so() -> None:
    residuals, fold_of = np.array([1.0, -2.0, 3.0, -1.0] * 2), np.arange(8) % 2
    cross = CrossCalibration.of(2, fold_of, residuals, None, 0.0)
    bounds = cross.bounds(np.zeros((3, 2)), None, Calibration.of(residuals, None, None))
    assert bounds.interval(np.zeros(3)) is None
    assert bounds.calibration == f"{UNCALIBRATED}: 8 out-of-fold errors, 9 needed"
    assert bounds.std == pytest.approx([np.sqrt(np.mean(residuals**2))] * 3)
    assert cv_plus(np.zeros((1, 2)), np.ones(1), np.abs(residuals), fold_of) is None


def test_where_the_models_of_the_folds_differ_the_interval_is_wide() -> None:
    residuals, fold_of = np.full(40, 0.5), np.arange(40) % 4
    cross = CrossCalibration.of(4, fold_of, residuals, None, 0.0)
    calibration = Calibration.of(residuals, None, None)
    bounds = cross.bounds(np.array([[1.0] * 4, [0.0, 1.0, 2.0, 3.0]]), None, calibration)
    lower, upper = bounds.interval(np.array([1.0, 1.5])) or (np.empty(0), np.empty(0))
    assert list(lower) == [0.5, -0.5] and list(upper) == [1.5, 3.5]


def test_coverage_of_a_line_through_forty_noisy_points() -> None:
    """Least squares by NumPy; errors have a heavy tail, and no distribution is assumed."""
    random, held = np.random.default_rng(3), []
    for _ in range(60):
        x = np.c_[np.ones(100), random.normal(size=(100, 6))]
        y = x @ np.arange(7) + random.standard_t(3, size=100)
        fold_of, models = np.arange(40) % 8, []
        residuals = np.empty(40)
        for k in range(8):
            out = fold_of == k
            models.append(np.linalg.lstsq(x[:40][~out], y[:40][~out], rcond=None)[0])
            residuals[out] = x[:40][out] @ models[-1] - y[:40][out]
        ends = cv_plus(x[40:] @ np.array(models).T, np.ones(60), np.abs(residuals), fold_of)
        assert ends is not None
        held.append(np.mean((ends[0] <= y[40:]) & (y[40:] <= ends[1])))
    assert 0.88 < np.mean(held) < 0.95


def test_a_materials_own_fold_has_no_part_in_its_interval() -> None:
    residuals, fold_of = np.ones(60), np.arange(60) % 3
    residuals[0] = 1e6
    found = out_of_fold_uncertainty(residuals, fold_of)
    assert found is not None
    assert found.std[0] == 1.0 and found.std[1] > 1e4
    assert found.half_widths[0.9][0] == 1.0
    assert out_of_fold_uncertainty(residuals[:20], fold_of[:20]) is None
