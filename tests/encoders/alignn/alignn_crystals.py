"""Crystals on which ALIGNN's graph is hard to get right."""

from __future__ import annotations

import numpy as np

from featurestore.crystal import Crystal


def crystal(lattice, species, coords) -> Crystal:
    coords = np.array(coords, dtype=float).reshape(-1, 3)
    return Crystal(np.array(lattice, dtype=float), tuple(species), coords)


def cubic(a, species, coords) -> Crystal:
    return crystal(np.eye(3) * a, species, coords)


def shaken_rock_salt(n: int, seed: int) -> Crystal:
    """A rock-salt cell of 8 n³ atoms in which no two distances are equal."""
    rng = np.random.default_rng(seed)
    sites = np.array([[i, j, k] for i in range(2 * n) for j in range(2 * n) for k in range(2 * n)])
    species = ["Na" if sum(site) % 2 else "Cl" for site in sites]
    return cubic(5.6 * n, species, sites / (2 * n) + rng.normal(scale=0.004, size=sites.shape))


SILICON = crystal(
    [[0, 2.715, 2.715], [2.715, 0, 2.715], [2.715, 2.715, 0]],
    ["Si", "Si"],
    [[0, 0, 0], [0.25, 0.25, 0.25]],
)
POLONIUM = cubic(3.345, ["Po"], [0, 0, 0])
_SKEWED = np.array([[4.1, 0, 0], [1.7, 3.9, 0], [-1.2, 0.8, 6.3]])

CRYSTALS = {
    "silicon": SILICON,
    "simple cubic polonium": POLONIUM,
    "magnesium": crystal(
        [[3.20941234, 0, 0], [-1.60470617, 2.77943259, 0], [0, 0, 5.2108]],
        ["Mg", "Mg"],
        [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]],
    ),
    "perovskite": cubic(
        3.905,
        ["Sr", "Ti", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    ),
    "layer in vacuum": crystal(
        [[2.46, 0, 0], [-1.23, 2.130423, 0], [0, 0, 20]],
        ["C", "C"],
        [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]],
    ),
    "atom in a large box": cubic(15.0, ["Ar"], [0.5, 0.5, 0.5]),
    "molecule in a box": cubic(
        12.0, ["O", "H", "H"], [[0, 0, 0], [0.06, 0.05, 0], [-0.06, 0.05, 0]]
    ),
    "coordinates outside the cell": crystal(
        _SKEWED, ["Ga", "N", "O"], [[-0.3, 1.2, 0.1], [0.9, 0.4, -0.2], [2.1, 0.7, 0.6]]
    ),
    "a site ten cells away": crystal(
        _SKEWED, ["Ga", "N", "O"], [[0.1, 0.2, 0.1], [10.3, 0.4, -3.2], [0.6, 0.7, 0.6]]
    ),
    "two sites nearly in one place": cubic(
        4.0, ["Fe", "Co", "Al"], [[0, 0, 0], [0.001, 0, 0], [0.5, 0.5, 0.5]]
    ),
    "no symmetry": crystal(
        _SKEWED, ["Li", "Fe", "P", "O", "O", "O"], np.random.default_rng(3).random((6, 3))
    ),
    "64 atoms": shaken_rock_salt(2, seed=0),
}
