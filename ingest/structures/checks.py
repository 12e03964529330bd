"""Which structures are refused, and why: nothing that is not a crystal enters the store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from ingest.structures.elements import ELEMENTS, atomic_mass, covalent_radius
from ingest.structures.refusals import (
    DensityError,
    InvalidStructureError,
    LimitError,
    OverlapError,
    UnknownElementError,
)

SMALLEST_DISTANCE = 0.5  # Å; the shortest bond known, H-H, has 0.74
SMALLEST_SPACING = 0.1  # Å between lattice planes; below it the cell is flat
LARGEST_CELL = 5000  # atoms; what symmetry analysis does in minutes, not hours

# Shares of the sum of two covalent radii.
CLOSEST = 0.5
CLOSE = 0.65
FAR = 1.6  # JARVIS-DFT's largest is 1.52, crystals with noble gases apart
# Volume of the covalent spheres by that of the cell.
DENSEST = 2.0
DENSE = 1.5
SPARSE = 0.003
_ROOMY = 0.2  # with more, spheres of 1.6 times the radii would not fit
_NOBLE = frozenset(("He", "Ne", "Ar", "Kr", "Xe", "Rn"))

_FEW = 48  # atoms; with more, a search by cells is faster than all pairs
_AT_ONCE = 1 << 15  # distances: a flat cell has hundreds of thousands of images near enough
_U = 1.66053906660  # u/Å³ in g/cm³


@dataclass(frozen=True)
class Contact:
    """The pair of sites that is closest for its elements.

    Parameters
    ----------
    i, j : int
        Sites; equal for an atom and its own image.
    distance : float
        Å.
    share : float
        The distance by the sum of the covalent radii; infinite if no pair is near.
    """

    i: int
    j: int
    distance: float
    share: float


def check_structure(crystal: Crystal) -> tuple[str, ...]:
    """Raise unless the structure has atoms of known elements, apart, in a cell with a volume.

    Distances are judged by the covalent radii of their elements, the density by the volume of the
    covalent spheres, so that what is odd for hydrogen and what is odd for caesium differ.

    Returns
    -------
    tuple of str
        Notes on what is odd and not impossible.

    Raises
    ------
    InvalidStructureError
        Naming the first thing that is wrong.
    """
    _check_form(crystal)
    contact = closest_contact(crystal)
    pair = (
        f"site {contact.i} ({crystal.species[contact.i]}) and site {contact.j} "
        f"({crystal.species[contact.j]}) are {contact.distance:.3f} Å apart"
    )
    if contact.distance < SMALLEST_DISTANCE or contact.share < CLOSEST:
        raise OverlapError(
            f"overlapping atoms: {pair}, {contact.share:.2f} of the sum of their covalent radii"
        )
    filled = filled_share(crystal)
    if filled > DENSEST:
        raise DensityError(
            f"no matter is that dense: {density(crystal):.1f} g/cm³, the covalent spheres have "
            f"{filled:.1f} times the volume of the cell; wrong symmetry or a wrong unit of length"
        )
    notes = []
    if contact.share < CLOSE:
        notes.append(f"distance: {pair}, {contact.share:.2f} of the sum of their covalent radii")
    if filled > DENSE or filled < SPARSE:
        notes.append(
            f"density: {density(crystal):.3g} g/cm³; the covalent spheres fill {filled:.3g} of "
            "the cell"
        )
    elif filled < _ROOMY and _NOBLE.isdisjoint(crystal.species) and _all_far(crystal):
        notes.append(
            f"distance: no two atoms are nearer than {FAR} times the sum of their covalent radii; "
            "the usual cause is a wrong unit of length"
        )
    return tuple(notes)


def _all_far(crystal: Crystal) -> bool:
    radii = np.array([covalent_radius(symbol) for symbol in crystal.species])
    first, second, distance = _near_pairs(crystal, FAR * 2 * float(radii.max()))
    return bool((distance >= FAR * (radii[first] + radii[second])).all())


def density(crystal: Crystal) -> float:
    """Mass by volume, g/cm³."""
    return _U * sum(map(atomic_mass, crystal.species)) / crystal.volume


def filled_share(crystal: Crystal) -> float:
    """Volume of spheres with the covalent radii by the volume of the cell."""
    radii = np.array([covalent_radius(symbol) for symbol in crystal.species])
    return float(4 / 3 * np.pi * (radii**3).sum() / crystal.volume)


def closest_contact(crystal: Crystal) -> Contact:
    """The pair, periodic images included, that is closest by the sum of its covalent radii.

    Pairs farther apart than `CLOSE` of their radii are none.
    """
    radii = np.array([covalent_radius(symbol) for symbol in crystal.species])
    reach = max(SMALLEST_DISTANCE, CLOSE * 2 * float(radii.max()))
    if crystal.n_atoms > _FEW:
        first, second, distance = _near_pairs(crystal, reach)
    else:
        first, second, distance = _all_pairs(crystal, reach)
    share = distance / (radii[first] + radii[second])
    # Hydrogen's radius is so small that the absolute limit comes first.
    share_or_floor = np.minimum(share / CLOSEST, distance / SMALLEST_DISTANCE)
    if not len(share) or share_or_floor.min() >= CLOSE / CLOSEST:
        return Contact(0, 0, np.inf, np.inf)
    least = int(share_or_floor.argmin())
    i, j = sorted((int(first[least]), int(second[least])))
    return Contact(i, j, float(distance[least]), float(share[least]))


def _check_form(crystal: Crystal) -> None:
    if crystal.n_atoms == 0:
        raise InvalidStructureError("the structure has no atoms")
    if crystal.lattice.shape != (3, 3) or crystal.frac_coords.shape != (crystal.n_atoms, 3):
        raise InvalidStructureError(
            f"the lattice has shape {crystal.lattice.shape}, the coordinates "
            f"{crystal.frac_coords.shape} for {crystal.n_atoms} species; expected (3, 3) and "
            f"({crystal.n_atoms}, 3)"
        )
    if crystal.n_atoms > LARGEST_CELL:
        raise LimitError(
            f"the cell has {crystal.n_atoms:,} atoms; the largest that is analysed has "
            f"{LARGEST_CELL:,}"
        )
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.frac_coords).all()):
        raise InvalidStructureError("the lattice or the coordinates hold NaN or infinity")
    with np.errstate(over="ignore", invalid="ignore"):
        volume = crystal.volume
    if not np.isfinite(volume):
        raise InvalidStructureError("the cell is too large for its volume to be a number")
    unknown = sorted(set(crystal.species) - ELEMENTS)
    if unknown:
        raise UnknownElementError(f"unknown element {', '.join(map(repr, unknown))}")
    if _plane_spacings(crystal).min() < SMALLEST_SPACING:
        raise InvalidStructureError(f"the cell has (nearly) zero volume: {volume:.3g} Å³")


def _plane_spacings(crystal: Crystal) -> npt.NDArray[np.float64]:
    if crystal.volume < 1e-6:
        return np.zeros(3)
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0))


_Pairs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]


def _all_pairs(crystal: Crystal, reach: float) -> _Pairs:
    """Every pair i <= j with its shortest distance, periodic images included.

    A vector shorter than r has fractional components below r / plane spacing, so with differences
    wrapped into half a cell only few images are left to try.
    """
    steps = np.floor(reach / _plane_spacings(crystal) + 0.5).astype(int)
    images = np.indices(tuple(2 * steps + 1)).reshape(3, -1).T - steps
    home = len(images) // 2
    first, second = _pairs_of(crystal.n_atoms)
    difference = crystal.frac_coords[second] - crystal.frac_coords[first]
    difference -= np.round(difference)
    shifts = images @ crystal.lattice
    squares = np.full(len(first), np.inf)
    vectors = difference @ crystal.lattice
    at_once = max(1, _AT_ONCE // len(first))
    for begin in range(0, len(images), at_once):
        moved = vectors + shifts[begin : begin + at_once, None]
        square = np.einsum("kij,kij->ki", moved, moved)
        if begin <= home < begin + at_once:
            square[home - begin, first == second] = np.inf
        np.minimum(squares, square.min(axis=0), out=squares)
    return first, second, np.sqrt(squares)


@cache
def _pairs_of(n_atoms: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.triu_indices(n_atoms)


def _near_pairs(crystal: Crystal, reach: float) -> _Pairs:
    """The pairs within ``reach`` Å, by pymatgen's search in cells."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    cartesian = np.ascontiguousarray(crystal.wrapped_coords @ crystal.lattice)
    first, second, _, distance = find_points_in_spheres(
        cartesian,
        cartesian,
        reach,
        np.array([1, 1, 1], dtype=np.int64),
        np.ascontiguousarray(crystal.lattice),
        1e-8,
    )
    # The search finds every site at no distance from itself, and a doubled site just so.
    other = (first != second) | (distance > 1e-8)
    return first[other], second[other], distance[other]
