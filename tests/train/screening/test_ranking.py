"""The Pareto front is what nothing surpasses; no family takes all places."""

from __future__ import annotations

import numpy as np
import pytest

from featurestore.errors import InvalidInputError
from train.screening.choice import Choice
from train.screening.ranking import chosen_rows, pareto_front


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_the_front_is_that_of_all_pairs(columns: int) -> None:
    values = np.random.default_rng(columns).integers(0, 6, size=(120, columns)).astype(float)
    expected = [
        not any((other >= one).all() and (other > one).any() for other in values) for one in values
    ]
    assert pareto_front(values).tolist() == expected
    assert 0 < sum(expected) < 120
    assert pareto_front(values[:0]).tolist() == []


def test_equal_rows_are_on_the_front_together() -> None:
    values = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert pareto_front(values).tolist() == [True, True, True, False]


def test_a_family_has_its_share() -> None:
    families, systems = ["a", "a", "a", "b", "b"], ["x", "y", "y", "x", "z"]
    assert chosen_rows([0, 1, 2, 3, 4], 3, []) == [0, 1, 2]
    assert chosen_rows([0, 1, 2, 3, 4], 3, [(families, 1)]) == [0, 3]
    assert chosen_rows([2, 1, 0, 3, 4], 5, [(families, 2), (systems, 1)]) == [2, 0, 4]


@pytest.mark.parametrize("name", ["budget", "per_prototype", "per_chemsys"])
def test_a_budget_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"of 0 .*chooses nothing"):
        Choice(**{name: 0})
