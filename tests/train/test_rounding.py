"""Numbers are shown to their error, and rounding is no spread."""

from __future__ import annotations

import numpy as np
import pytest

from train.display.rounding import deterministic, rounded, spread_of_seeds


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (1.23456, 0.0321, "1.235"),
        (12345.6, 321.0, "12350"),
        (0.5, 2.0, "0.5"),
        (-0.00042, 0.75, "0.00"),
        (1.23456, None, "1.235"),
        (1.23456, 0.0, "1.235"),
        (None, 0.1, ""),
        (float("nan"), 0.1, "nan"),
    ],
)
def test_numbers_are_rounded_to_their_error(
    value: float | None, error: float | None, shown: str
) -> None:
    assert rounded(value, error) == shown


def test_a_spread_of_rounding_is_none() -> None:
    assert spread_of_seeds(0.393, 3.8e-10) == "deterministic"
    assert spread_of_seeds(0.393, 0.0) == "deterministic"
    assert spread_of_seeds(0.393, 0.0123) == "0.012"
    assert spread_of_seeds(0.393, None) == ""
    assert deterministic(np.array([[1.0, 1.0 + 1e-12]]))
    assert not deterministic(np.array([[1.0, 1.01]]))
