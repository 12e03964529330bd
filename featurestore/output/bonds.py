"""Which atoms of a crystal are drawn as bonded: a rule for pictures, and no analysis."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from featurestore.output.elements import look

if TYPE_CHECKING:
    from featurestore.crystal import Crystal

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# Open Babel's rule (N. M. O'Boyle et al., J. Cheminf. 2011, 3, 33; also Jmol's): nearer than the
# covalent radii together and this, in Å, but not on top of each other.
_SLACK = 0.45
_SAME_PLACE = 0.4
# Neighbours within a tenth of the nearest are as near (pymatgen's MinimumDistanceNN).
_AS_NEAR = 1.1
# Hydrogen in LiH or NaH is larger than its covalent radius says.
_LONELY_SLACK = 1.0
_UNKNOWN_RADIUS = 1.5
#: Metalloids among them: they are what metals are bonded to.
_NONMETALS = frozenset(
    (
        *("H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl", "Ar"),
        *("Ge", "As", "Se", "Br", "Kr", "Sb", "Te", "I", "Xe", "At", "Rn"),
    )
)
# Of a cell that is so flat that more images would have to be looked at nothing could be seen.
_MOST_POINTS = 2_000_000


def bonded_sites(crystal: Crystal) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of sites that are drawn with a bond, each in both directions.

    Two atoms are bonded where they are nearer than their covalent radii together and 0.45 Å. A
    nonmetal or metalloid without any such bond has its nearest metals, within a tenth and 1 Å
    beyond the radii. Metal atoms are bonded to each other only where not both are bonded to a
    nonmetal (in oxides, how far cations are apart says little of bonds), and only to the nearest,
    within a tenth.

    Parameters
    ----------
    crystal : Crystal
        With a volume.

    Returns
    -------
    sites : ndarray, shape (m, 2), int64
        The atom and its neighbour.
    shifts : ndarray, shape (m, 3), int64
        The cell in which the neighbour is; both atoms' coordinates are those in [0, 1).
    """
    radii = np.array([radius_of(symbol) for symbol in crystal.species])
    metal = np.array([symbol not in _NONMETALS for symbol in crystal.species])
    sites, shifts, apart = _near(crystal, 2 * float(radii.max()) + _LONELY_SLACK)
    i, j = sites.T
    beyond = apart - (radii[i] + radii[j])
    metals = metal[i] & metal[j]
    bonded = (beyond < _SLACK) & ~metals
    lonely = ~metal & ~_any(i, bonded, len(radii))
    possible = ((metal[i] & lonely[j]) | (metal[j] & lonely[i])) & (beyond < _LONELY_SLACK)
    nearest = np.where(lonely, _least(i, apart, possible, len(radii)), 0.0)
    bonded |= possible & (apart <= _AS_NEAR * np.maximum(nearest[i], nearest[j]))
    with_nonmetal = _any(i, bonded & ~metal[j], len(radii))
    bare = metals & (beyond < _SLACK) & ~(with_nonmetal[i] & with_nonmetal[j])
    nearest = _least(i, apart, bare, len(radii))
    bonded |= bare & (apart <= _AS_NEAR * np.maximum(nearest[i], nearest[j]))
    return sites[bonded], shifts[bonded]


def radius_of(symbol: str) -> float:
    """The covalent radius of an element in Å; 1.5 of what is none."""
    found = look(symbol)
    return _UNKNOWN_RADIUS if found is None else found[1]


def _any(site: npt.NDArray[np.int64], what: Bools, n: int) -> Bools:
    """Of which sites any pair is so."""
    return np.bincount(site[what], minlength=n) > 0


def _least(site: npt.NDArray[np.int64], apart: Floats, of: Bools, n: int) -> Floats:
    """The shortest of each site's distances ``of`` which are asked for; 0 where there is none."""
    found = np.full(n, np.inf)
    np.minimum.at(found, site[of], apart[of])
    return np.where(np.isfinite(found), found, 0.0)


def _near(
    crystal: Crystal, reach: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """All pairs of sites nearer than ``reach``, across the faces of the cell: sites, shifts, Å."""
    from scipy.spatial import cKDTree

    none = np.zeros((0, 2), np.int64), np.zeros((0, 3), np.int64), np.zeros(0)
    lattice, n = crystal.lattice, crystal.n_atoms
    a, b, c = lattice
    faces = np.linalg.norm([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    images = np.ceil(reach * faces / crystal.volume)
    if not np.prod(2 * images + 1) * n <= _MOST_POINTS:
        return none
    cells = np.array(list(product(*(range(-int(k), int(k) + 1) for k in images))))
    here = crystal.wrapped_coords @ lattice
    points = (here[None] + (cells @ lattice)[:, None]).reshape(-1, 3)
    close = ((points > here.min(axis=0) - reach) & (points < here.max(axis=0) + reach)).all(axis=1)
    places = np.flatnonzero(close)
    found = cKDTree(points[places]).query_ball_point(here, reach)
    i = np.repeat(np.arange(n), [len(one) for one in found])
    if not len(i):
        return none
    place = places[np.concatenate([np.array(one, np.int64) for one in found])]
    # Rounded, so that it is the same in both directions.
    apart = np.round(np.linalg.norm(points[place] - here[i], axis=1), 6)
    there = apart > _SAME_PLACE
    sites = np.stack([i, place % n], axis=1)
    return sites[there], cells[place // n][there], apart[there]
