"""Intervals and tests on errors whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.analysis.resampling import (
    RESAMPLES,
    bootstrap_means,
    draws,
    holm,
    interval,
    mean_estimates,
    paired_difference,
)


def test_the_interval_is_the_normal_one_for_many_values() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, size=(400, 1))
    (estimate,) = mean_estimates(values)
    error = values.std() / np.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(estimate.value - 1.96 * error, abs=0.15 * error)
    assert estimate.high == pytest.approx(estimate.value + 1.96 * error, abs=0.15 * error)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        (estimate,) = mean_estimates(generator.exponential(size=(80, 1)))
        covered += estimate.low <= 1.0 <= estimate.high
    assert covered / 60 >= 0.85


def test_columns_are_resampled_together() -> None:
    values = np.random.default_rng(2).normal(size=(50, 1))
    means = bootstrap_means(np.column_stack([values, values + 1]))
    assert means.shape == (RESAMPLES, 2)
    np.testing.assert_allclose(np.diff(means, axis=1), 1.0)


def test_draws_are_with_replacement_and_the_same_again() -> None:
    first = np.concatenate(list(draws(7)))
    assert first.shape == (RESAMPLES, 7)
    assert (first.sum(axis=1) == 7).all()
    assert (first == 0).any()
    np.testing.assert_array_equal(first, np.concatenate(list(draws(7))))


def test_a_real_difference_is_found_and_none_is_not() -> None:
    generator = np.random.default_rng(3)
    errors = generator.exponential(size=200)
    better = errors - 0.1 + generator.normal(0, 0.2, size=200)
    found = paired_difference(errors, better)
    assert found.p < 0.001
    assert 0 < found.gain.low < found.gain.value < found.gain.high
    swapped = paired_difference(better, errors)
    assert swapped.p == found.p
    assert swapped.gain.value == -found.gain.value
    none = paired_difference(errors, errors + generator.normal(0, 0.2, size=200))
    assert none.p > 0.05


def test_pairs_are_used() -> None:
    """Materials differ by far more than the models: unpaired, the difference would drown."""
    errors = np.random.default_rng(4).exponential(10.0, size=100)
    found = paired_difference(errors, errors - 0.01 * np.arange(1, 101) / 100)
    assert found.p < 0.001


def test_equal_errors_give_p_one() -> None:
    errors = np.arange(1.0, 20.0)
    assert paired_difference(errors, errors).p == 1.0


def test_few_materials_cannot_be_significant() -> None:
    """With three materials 2 of 8 sign patterns are as extreme as the observed one."""
    found = paired_difference(np.array([1.0, 1.0, 1.0]), np.zeros(3))
    assert found.p == pytest.approx(0.25, abs=0.02)


def test_nothing_to_compare_is_nan() -> None:
    found = paired_difference(np.empty(0), np.empty(0))
    assert np.isnan(found.p)
    assert np.isnan(found.gain.value)


def test_the_sign_flip_test_keeps_its_level() -> None:
    generator = np.random.default_rng(5)
    p_values = [paired_difference(*generator.exponential(size=(2, 30))).p for _ in range(120)]
    assert 0.0 <= np.mean(np.array(p_values) < 0.05) <= 0.12
    assert 0.3 < np.mean(p_values) < 0.7


def test_draws_without_a_quantity_do_not_count() -> None:
    low, high = interval(np.array([[1.0], [np.nan], [1.0]]))
    assert (low, high) == (1.0, 1.0)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    with_nan = holm([0.01, float("nan"), 0.04])
    assert with_nan[0] == pytest.approx(0.02)
    assert np.isnan(with_nan[1])
    assert with_nan[2] == pytest.approx(0.04)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(new >= old for new, old in zip(corrected, p_values, strict=True))
    assert max(corrected) <= 1.0
    ordered = sorted(zip(p_values, corrected, strict=True))
    assert [new for _, new in ordered] == sorted(corrected)
