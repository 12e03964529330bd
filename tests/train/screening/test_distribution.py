"""Probabilities are those that come true, and improvements the integrals that they claim to be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from train.forecasts.calibration import FEWEST_ROWS, MOST_SCORES, Calibration
from train.screening.distribution import Distribution, NormalErrors, ScoredErrors
from train.screening.wants import Want

SKEWED = np.sort(np.random.default_rng(0).gumbel(size=60))


@pytest.mark.parametrize(
    "errors", [NormalErrors(), ScoredErrors(SKEWED), ScoredErrors(np.repeat([-1.0, 0.5], [7, 5]))]
)
def test_a_distribution_function_and_what_belongs_to_it(
    errors: NormalErrors | ScoredErrors,
) -> None:
    z = np.linspace(-40, 60, 400_001)
    below = errors.below(z)
    assert (np.diff(below) >= -1e-12).all()
    assert below[0] == pytest.approx(0, abs=1e-6) and below[-1] == pytest.approx(1, abs=1e-6)
    for start in (-3.0, -0.4, 0.3, 2.9, 7.0):
        beyond = z >= start
        integral = np.trapezoid(1 - below[beyond], z[beyond])
        assert errors.excess(np.array([start]))[0] == pytest.approx(integral, rel=2e-3, abs=1e-6)
        mirrored = errors.mirrored().below(np.array([-start]))[0]
        assert mirrored == pytest.approx(1 - errors.below(np.array([start]))[0])
    for p in (0.001, 0.05, 0.3, 0.95, 0.999):
        place = errors.quantile(p)
        near = errors.below(np.array([place - 1e-6, place + 1e-6]))
        assert near[0] - 1e-3 <= p <= near[1] + 1e-3


def test_the_lines_run_within_the_conformal_bounds() -> None:
    n = len(SKEWED)
    found = ScoredErrors(SKEWED).below(SKEWED)
    k = np.arange(1, n + 1)
    assert (found >= (k - 1) / (n + 1)).all() and (found <= k / (n + 1) + 1e-12).all()
    assert ScoredErrors(SKEWED).resolution == pytest.approx(1 / (n + 1))


def test_probabilities_come_true() -> None:
    """Skewed errors whose scale differs: of candidates with a probability p, p fulfil the want."""
    generator = np.random.default_rng(1)

    def world(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        prediction, scale = generator.normal(size=n), np.exp(generator.normal(scale=0.5, size=n))
        return prediction, scale, prediction + scale * (generator.exponential(size=n) - 1)

    prediction, scale, truth = world(400)
    calibration = Calibration.of(prediction - truth, scale, None)
    prediction, scale, truth = world(20_000)
    stds = calibration(len(scale), scale, None).std
    assert stds is not None
    want = Want("x", 0.3, 1.5)
    told = Distribution.of(calibration, prediction, stds).within(want)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7)):
        some = (told >= low) & (told < high)
        assert some.sum() > 300
        assert want.holds(truth[some]).mean() == pytest.approx(told[some].mean(), abs=0.05)
    # a symmetric interval's normal distribution would not do
    normal = Distribution(prediction, stds, NormalErrors()).within(Want("x", high=-1.5))
    skewed = Distribution.of(calibration, prediction, stds).within(Want("x", high=-1.5))
    true = (truth <= -1.5).mean()
    assert abs(skewed.mean() - true) < abs(normal.mean() - true)


def test_few_validation_rows_give_a_normal_distribution() -> None:
    few = Calibration.of(np.linspace(-1, 1, FEWEST_ROWS - 1), None, None)
    found = Distribution.of(few, np.zeros(1), np.ones(1))
    assert isinstance(found.errors, NormalErrors)
    assert found.within(Want("x", -1.0, 1.0))[0] == pytest.approx(0.6827, abs=1e-4)
    exact = Calibration.of(np.zeros(20), None, None)
    certain = Distribution.of(exact, np.array([1.0, 3.0]), np.zeros(2))
    assert certain.within(Want("x", high=2.0)).tolist() == [1.0, 0.0]


def test_many_scores_are_thinned_without_a_shift() -> None:
    errors = np.random.default_rng(2).gumbel(size=20_000)
    thinned = Calibration.of(-errors, None, None).scores
    assert len(thinned) == MOST_SCORES and list(thinned) == sorted(thinned)
    for p in (0.01, 0.5, 0.99):
        found = ScoredErrors(np.array(thinned)).quantile(p)
        assert found == pytest.approx(np.quantile(errors, p), abs=0.02)
    assert Calibration.of(np.array([2.0, -1.0]), np.array([2.0, 0.5]), None).scores == (-1.0, 2.0)


def test_known_values_are_certain() -> None:
    predicted = Distribution(np.zeros(3), np.ones(3), NormalErrors())
    found = predicted.knowing(np.array([1.0, np.nan, 3.0]))
    assert found.within(Want("x", 1.0, 2.0)).tolist()[::2] == [1.0, 0.0]
    assert found.within(Want("x", 1.0, 2.0, open_low=True))[0] == 0.0
    assert found.better(1.0, True).tolist()[::2] == [0.0, 1.0]
    assert found.improvement(2.0, True).tolist()[::2] == [0.0, 1.0]
    assert found.improvement(2.0, False).tolist()[::2] == [1.0, 0.0]
    assert found.quantile(0.95).tolist()[::2] == [1.0, 3.0]


def test_improvement_is_that_of_the_textbook() -> None:
    found = Distribution(np.array([1.0]), np.array([0.5]), NormalErrors())
    # (mean - best) Φ(z) + σ φ(z) with z = -0.4
    z = -0.4
    phi = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    expected = -0.2 * 0.5 * (1 + math.erf(z / math.sqrt(2))) + 0.5 * phi
    assert found.improvement(1.2, True)[0] == pytest.approx(expected)
    assert found.improvement(0.8, False)[0] == pytest.approx(expected)
    assert found.better(1.2, True)[0] == pytest.approx(found.better(0.8, False)[0])
