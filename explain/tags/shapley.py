"""Exact Shapley values and pairwise interactions, from the value of every set of players.

The players are parts of an input, the value of a set is whatever is measured with just these parts
present: a prediction, an error. Nothing is sampled: n players need 2**n values.
"""

from __future__ import annotations

from math import factorial

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError


def shapley_values(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of each player in the value of all (Shapley, 1953).

    Parameters
    ----------
    values : ndarray, shape (2**n, …), float64
        ``values[c]`` is that of the set which has player i if bit i of c is set.

    Returns
    -------
    ndarray, shape (n, …), float64
        Over the players they sum to the value of all minus that of none.

    Raises
    ------
    InvalidInputError
        If there are not 2**n values.

    Examples
    --------
    >>> shapley_values(np.array([0.0, 1.0, 2.0, 5.0]))  # none, the first, the second, both
    array([2., 3.])
    """
    n = _n_players(values)
    shares = np.zeros((n, *values.shape[1:]))
    for player in range(n):
        for others in _sets_without(n, 1 << player):
            size = others.bit_count()
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            shares[player] += weight * (values[others | 1 << player] - values[others])
    return shares


def interactions(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The Shapley interaction index of each pair (Grabisch & Roubens, Int. J. Game Theory, 1999).

    Parameters
    ----------
    values : ndarray, shape (2**n, …), float64
        As for `shapley_values`.

    Returns
    -------
    ndarray, shape (n, n, …), float64
        How much more two players bring together than each by itself, averaged over the sets of the
        others; negative where one makes the other needless. Zero on the diagonal.

    Raises
    ------
    InvalidInputError
        If there are not 2**n values.

    Examples
    --------
    >>> interactions(np.array([0.0, 1.0, 2.0, 5.0]))[0, 1]
    np.float64(2.0)
    """
    n = _n_players(values)
    found = np.zeros((n, n, *values.shape[1:]))
    for i in range(n):
        for j in range(i + 1, n):
            first, second = 1 << i, 1 << j
            for others in _sets_without(n, first | second):
                size = others.bit_count()
                weight = factorial(size) * factorial(n - size - 2) / factorial(n - 1)
                found[i, j] += weight * (
                    values[others | first | second]
                    - values[others | first]
                    - values[others | second]
                    + values[others]
                )
            found[j, i] = found[i, j]
    return found


def _n_players(values: npt.NDArray[np.float64]) -> int:
    n = len(values).bit_length() - 1
    if len(values) != 1 << max(n, 0):
        raise InvalidInputError(f"{len(values)} values are not those of all sets of players")
    return n


def _sets_without(n: int, players: int) -> list[int]:
    return [members for members in range(1 << n) if not members & players]
