"""Rules rank as they say, and refuse what they cannot rank."""

from __future__ import annotations

import math

import numpy as np
import pytest

from featurestore.errors import InvalidInputError, UnknownNameError
from train.screening.distribution import Distribution, NormalErrors
from train.screening.names import RULES
from train.screening.rules import Outlook, check_rule, joint, scores
from train.screening.wants import Want

GOAL, WINDOW = Want("slme", goal="largest"), Want("ehull", high=0.1)


def outlook(want: Want, centre: list[float], scale: list[float], best: float = math.nan) -> Outlook:
    values = Distribution(np.array(centre), np.array(scale), NormalErrors())
    return Outlook(want, values, best, spread=2.0)


def test_the_joint_probability_is_the_product() -> None:
    two = [
        outlook(WINDOW, [0.1, 0.0], [1.0, 0.1]),
        outlook(Want("gap", low=0.0), [0.0] * 2, [1.0] * 2),
    ]
    assert joint(two).tolist() == pytest.approx([0.25, 0.5 * 0.8413], abs=1e-4)
    assert scores("probability", two).tolist() == joint(two).tolist()
    assert joint([]) == 1.0


def test_improvement_counts_only_within_the_windows() -> None:
    aim = outlook(GOAL, [1.0, 1.0, 3.0], [1.0, 2.0, 1.0], best=2.0)
    alone = scores("expected-improvement", [aim])
    assert alone[2] > alone[1] > alone[0]
    # the window's value is known: the third misses it
    window = outlook(WINDOW, [0.0, 0.0, 0.5], [0.0, 0.0, 0.0])
    assert scores("expected-improvement", [window, aim]).tolist() == [*alone[:2], 0.0]


def test_the_upper_bound_is_an_optimist() -> None:
    aim = outlook(GOAL, [1.0, 0.0, 5.0], [1.0, 2.0, 1.0], best=2.0)
    window = outlook(WINDOW, [0.0, 0.0, 9.0], [1.0, 1.0, 1.0])
    found = scores("upper-bound", [aim, window])
    assert found[:2].tolist() == pytest.approx([1 + 1.6449, 2 * 1.6449], abs=1e-3)
    assert found[2] == -math.inf
    smallest = outlook(Want("ehull", goal="smallest"), [1.0, 1.0], [1.0, 2.0], best=0.0)
    found = scores("upper-bound", [smallest])
    assert found.tolist() == pytest.approx([-1 + 1.6449, -1 + 2 * 1.6449], abs=1e-3)


def test_uncertainty_is_in_units_of_what_is_known() -> None:
    found = scores("uncertainty", [outlook(WINDOW, [0.0, 9.0], [1.0, 0.0])])
    assert found.tolist() == pytest.approx([1.6449 / 2, 0.0], abs=1e-3)


def test_rules_that_cannot_be_meant() -> None:
    for rule in RULES:
        check_rule(rule, [GOAL, WINDOW])
    for rule in ("probability", "uncertainty"):
        check_rule(rule, [WINDOW])
    for rule in ("expected-improvement", "upper-bound"):
        with pytest.raises(InvalidInputError, match=r"one property to improve.*only windows"):
            check_rule(rule, [WINDOW])
        with pytest.raises(InvalidInputError, match="'maximise slme', 'maximise gap'"):
            check_rule(rule, [GOAL, Want("gap", goal="largest")])
    with pytest.raises(UnknownNameError, match="expected-improvement"):
        check_rule("expected-improvment", [GOAL])
