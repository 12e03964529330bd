"""Intervals hold what they promise, widen where errors grow with distance, and say when not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from train.forecasts.calibration import FEWEST_ROWS, ROWS_FOR_POWER, UNCALIBRATED, Calibration


def world(n: int, power: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Residuals whose scale is the distance to a power, and the distances."""
    generator = np.random.default_rng(seed)
    ratios = np.exp(generator.normal(scale=0.8, size=n))
    return generator.normal(size=n) * np.maximum(ratios, 0.1) ** power, ratios


def test_nine_rows_are_the_fewest() -> None:
    assert FEWEST_ROWS == 9
    residuals = np.arange(1.0, 10.0)
    bounds = Calibration.of(residuals, None, None)(2, None, None)
    assert list(bounds.half_width) == [9.0, 9.0]
    fewer = Calibration.of(residuals[:8], None, None)
    bounds = fewer(1, None, None)
    assert bounds.half_width is None
    assert bounds.calibration == f"{UNCALIBRATED}: 8 validation rows, 9 needed"
    assert bounds.std[0] == pytest.approx(np.sqrt(np.mean(residuals[:8] ** 2)))
    nothing = Calibration.of(np.empty(0), None, None)(1, None, None)
    assert nothing.std is None and nothing.half_width is None


def test_errors_that_grow_with_distance_widen_the_interval() -> None:
    residuals, ratios = world(2000, 0.8, 0)
    found = Calibration.of(residuals, None, ratios)
    assert found.power == pytest.approx(0.8, abs=0.2)
    bounds = found(2, None, np.array([0.5, 4.0]))
    assert bounds.half_width[1] > 3 * bounds.half_width[0]
    assert "wider with distance" in bounds.calibration


def test_errors_that_do_not_leave_it() -> None:
    residuals, ratios = world(2000, 0.0, 1)
    assert Calibration.of(residuals, None, ratios).power < 0.2
    few = Calibration.of(residuals[: ROWS_FOR_POWER - 1], None, ratios[: ROWS_FOR_POWER - 1])
    assert few.power == 0.0


def test_the_predictors_own_scale_counts() -> None:
    residuals, ratios = world(500, 0.0, 2)
    stds = np.where(np.arange(500) % 2, 5.0, 1.0)
    found = Calibration.of(residuals * stds, stds, ratios)
    assert found.power < 0.3
    bounds = found(2, np.array([1.0, 5.0]), np.ones(2))
    assert bounds.half_width[1] == pytest.approx(5 * bounds.half_width[0])
    assert bounds.std[0] == pytest.approx(1.0, rel=0.1)
    lacking = found(2, None, np.ones(2))
    assert lacking.std is None and lacking.calibration.startswith(UNCALIBRATED)


@pytest.mark.parametrize("power", [0.0, 0.7])
def test_coverage_is_nominal_at_every_distance(power: float) -> None:
    inside: dict[str, list[float]] = {"near": [], "far": []}
    for seed in range(30):
        residuals, ratios = world(800, power, seed)
        found = Calibration.of(residuals[:400], None, ratios[:400])
        half = found(400, None, ratios[400:]).half_width
        held = np.abs(residuals[400:]) <= half
        far = ratios[400:] > np.median(ratios)
        inside["near"].append(float(held[~far].mean()))
        inside["far"].append(float(held[far].mean()))
    for share in inside.values():
        assert np.mean(share) == pytest.approx(0.9, abs=0.02)


def test_copies_of_training_materials_have_intervals() -> None:
    residuals, ratios = world(200, 0.5, 3)
    ratios[:20] = 0.0
    half = Calibration.of(residuals, None, ratios)(1, None, np.zeros(1)).half_width
    assert math.isfinite(half[0]) and half[0] > 0
