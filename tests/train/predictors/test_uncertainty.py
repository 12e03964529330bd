from __future__ import annotations

import numpy as np
import pytest

from train.predictors.uncertainty import FEWEST_ROWS, LEVELS, Calibration, Uncertainty, coverage


def test_factors_are_the_ranks_of_split_conformal_prediction() -> None:
    residuals = np.arange(1.0, 20.0)  # 19 rows: ranks ceil(20 p) are 14, 18 and 19
    found = Calibration.of(-residuals, np.full(19, 2.0))
    assert found is not None
    assert found.factors == (7.0, 9.0, 9.5)
    assert found.std_factor == pytest.approx(np.sqrt(np.mean(residuals**2)) / 2)
    uncertainty = found(np.array([2.0, 4.0]))
    np.testing.assert_allclose(uncertainty.half_widths[0.90], [18.0, 36.0])
    np.testing.assert_allclose(uncertainty.std, found.std_factor * np.array([2.0, 4.0]))


def test_fewer_rows_than_the_widest_interval_needs() -> None:
    assert FEWEST_ROWS == 19
    assert Calibration.of(np.ones(18), np.ones(18)) is None


def test_nominal_coverage_holds_for_any_distribution() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        scales = rng.uniform(0.5, 2, 400)
        errors = scales * rng.standard_t(3, 400)  # heavy tails
        calibration = Calibration.of(errors[:100], scales[:100])
        assert calibration is not None
        found = coverage(errors, calibration(scales), np.arange(400) >= 100)
        shares.append(list(found.values()))
    for level, share in zip(LEVELS, np.mean(shares, axis=0), strict=True):
        # at least p, and at most p + 1/(n + 1)
        assert level - 0.005 <= share <= level + 0.015


def test_coverage_counts_the_chosen_rows() -> None:
    widths = {level: np.array([1.0, 1.0, 1.0, 1.0]) for level in LEVELS}
    errors = np.array([0.5, -2.0, 1.0, 9.0])
    known = Uncertainty(np.ones(4), widths)
    assert coverage(errors, known, np.array([True, True, True, False]))["0.90"] == 2 / 3
    assert coverage(errors, known, np.zeros(4, bool))["0.90"] is None
