from __future__ import annotations

import numpy as np
import pytest

from explain.erasure import Comprehensiveness
from featurestore.errors import InvalidInputError

WEIGHTS = np.array([2.0, -1.0, 0.5])


def _linear(features: np.ndarray) -> np.ndarray:
    return features.astype(np.float64) @ WEIGHTS


def test_a_linear_model_has_a_closed_form() -> None:
    # targets are the predictions, so that the MAE without feature j is mean |w_j x_j|
    features = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    targets = _linear(features)
    erased = {}
    for j in range(3):
        erased[str(j)] = features.copy()
        erased[str(j)][:, j] = 0
    found = Comprehensiveness(_linear).attribute(features, targets, erased)
    for j in range(3):
        expected = np.abs(WEIGHTS[j] * features[:, j].astype(np.float64)).mean()
        assert found[str(j)].mae == 0
        assert found[str(j)].comprehensiveness == pytest.approx(expected, rel=1e-12)


def test_an_erasure_that_helps_is_negative() -> None:
    features = np.ones((4, 3), dtype=np.float32)
    erased = features * np.array([0, 1, 1], dtype=np.float32)
    found = Comprehensiveness(_linear).attribute(features, np.full(4, -0.5), {"harm": erased})
    assert found["harm"].comprehensiveness == pytest.approx(-2.0)


def test_the_full_input_is_predicted_once() -> None:
    calls = []

    def forward(features: np.ndarray) -> np.ndarray:
        calls.append(len(features))
        return _linear(features)

    features = np.ones((4, 3), dtype=np.float32)
    Comprehensiveness(forward).attribute(features, np.zeros(4), {"a": features, "b": features})
    assert calls == [4, 4, 4]


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_must_match(rows: int) -> None:
    features = np.ones((rows, 3), dtype=np.float32)
    erased = {"a": np.ones((4, 3), dtype=np.float32)}
    with pytest.raises(InvalidInputError, match=r"no rows|not the same rows"):
        Comprehensiveness(_linear).attribute(features, np.zeros(rows), erased)


def test_targets_must_match() -> None:
    features = np.ones((3, 3), dtype=np.float32)
    with pytest.raises(InvalidInputError, match="2 targets for 3 rows"):
        Comprehensiveness(_linear).attribute(features, np.zeros(2), {})
