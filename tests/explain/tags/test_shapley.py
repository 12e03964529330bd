"""Shapley values and interactions against their definitions, on games small enough to spell out."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from explain.tags.shapley import interactions, shapley_values
from featurestore.errors import InvalidInputError

GAME = np.random.default_rng(0).normal(size=(16, 3))


def test_values_equal_the_mean_over_all_orders() -> None:
    expected = np.zeros((4, 3))
    orders = list(permutations(range(4)))
    for order in orders:
        members = 0
        for player in order:
            expected[player] += GAME[members | 1 << player] - GAME[members]
            members |= 1 << player
    np.testing.assert_allclose(shapley_values(GAME), expected / len(orders), atol=1e-12)
    np.testing.assert_allclose(shapley_values(GAME).sum(axis=0), GAME[-1] - GAME[0], atol=1e-12)


def test_interactions_equal_the_mean_over_all_orders_of_the_merged_game() -> None:
    # The pair is one player among the others; where it comes in, what it gains beyond its parts.
    found = interactions(GAME)
    for i, j in ((0, 1), (1, 3), (0, 2)):
        pair = 1 << i | 1 << j
        others = [player for player in range(4) if not pair >> player & 1]
        gains = []
        for order in permutations([*others, "pair"]):
            before = order[: order.index("pair")]
            members = sum(1 << int(player) for player in before)
            gains.append(
                GAME[members | pair]
                - GAME[members | 1 << i]
                - GAME[members | 1 << j]
                + GAME[members]
            )
        np.testing.assert_allclose(found[i, j], np.mean(gains, axis=0), atol=1e-12)
        np.testing.assert_allclose(found[j, i], found[i, j])
    assert not found[range(4), range(4)].any()


def test_an_additive_game_has_its_terms_as_values_and_no_interactions() -> None:
    terms = np.array([1.0, -2.0, 0.5])
    game = np.array([sum(terms[i] for i in range(3) if c >> i & 1) for c in range(8)])
    np.testing.assert_allclose(shapley_values(game), terms)
    np.testing.assert_allclose(interactions(game), 0, atol=1e-12)


def test_a_player_that_changes_nothing_has_no_value() -> None:
    game = np.repeat(np.random.default_rng(1).normal(size=4), 2)
    assert shapley_values(game)[0] == 0
    np.testing.assert_allclose(interactions(game)[0], 0, atol=1e-12)


def test_the_number_of_values_is_checked() -> None:
    with pytest.raises(InvalidInputError, match="3 values are not those of all sets"):
        shapley_values(np.zeros(3))
