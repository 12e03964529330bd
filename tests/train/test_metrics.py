from __future__ import annotations

import numpy as np
import pytest

from train.metrics import regression_metrics


def test_values_by_hand() -> None:
    found = regression_metrics(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0]))
    assert found["n"] == 3
    assert found["mae"] == pytest.approx(1.0)
    assert found["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert found["r2"] == pytest.approx(1 - 5 / 8)


def test_undefined_values_are_none() -> None:
    none = np.array([])
    assert regression_metrics(none, none) == {"n": 0, "mae": None, "rmse": None, "r2": None}
    constant = regression_metrics(np.array([2.0, 2.0]), np.array([1.0, 2.0]))
    assert constant["r2"] is None
    assert constant["mae"] == pytest.approx(0.5)
