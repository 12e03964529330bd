"""Which structures are refused, and why: nothing that is not a crystal enters the store."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError

SMALLEST_DISTANCE = 0.5  # Å; the shortest bond known, H-H, has 0.74
SMALLEST_SPACING = 0.1  # Å between lattice planes; below it the cell is flat

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se
Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb
Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm
Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
ELEMENTS = frozenset(_SYMBOLS.split())


class InvalidStructureError(FeatureStoreError):
    """A structure that cannot be a crystal; the message says what is wrong with it."""


def check_structure(crystal: Crystal) -> None:
    """Raise unless the structure has atoms of known elements, apart, in a cell with a volume.

    Raises
    ------
    InvalidStructureError
        Naming the first thing that is wrong.
    """
    if crystal.n_atoms == 0:
        raise InvalidStructureError("the structure has no atoms")
    if crystal.lattice.shape != (3, 3) or crystal.frac_coords.shape != (crystal.n_atoms, 3):
        raise InvalidStructureError(
            f"the lattice has shape {crystal.lattice.shape}, the coordinates "
            f"{crystal.frac_coords.shape} for {crystal.n_atoms} species; expected (3, 3) and "
            f"({crystal.n_atoms}, 3)"
        )
    if not (np.isfinite(crystal.lattice).all() and np.isfinite(crystal.frac_coords).all()):
        raise InvalidStructureError("the lattice or the coordinates hold NaN or infinity")
    with np.errstate(over="ignore", invalid="ignore"):
        volume = crystal.volume
    if not np.isfinite(volume):
        raise InvalidStructureError("the cell is too large for its volume to be a number")
    unknown = sorted(set(crystal.species) - ELEMENTS)
    if unknown:
        raise InvalidStructureError(f"unknown element {', '.join(map(repr, unknown))}")
    spacings = _plane_spacings(crystal)
    if spacings.min() < SMALLEST_SPACING:
        raise InvalidStructureError(f"the cell has (nearly) zero volume: {crystal.volume:.3g} Å³")
    pair = _overlapping_pair(crystal, spacings)
    if pair is not None:
        i, j, distance = pair
        raise InvalidStructureError(
            f"overlapping atoms: site {i} ({crystal.species[i]}) and site {j} "
            f"({crystal.species[j]}) are {distance:.3f} Å apart"
        )


def _plane_spacings(crystal: Crystal) -> npt.NDArray[np.float64]:
    if crystal.volume < 1e-6:
        return np.zeros(3)
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0))


def _overlapping_pair(
    crystal: Crystal, spacings: npt.NDArray[np.float64]
) -> tuple[int, int, float] | None:
    """The first pair closer than `SMALLEST_DISTANCE`, periodic images included.

    A vector shorter than r has fractional components below r / plane spacing, so with differences
    wrapped into half a cell only few images are left to try; for planes over 1 Å apart, one.
    """
    reach = np.floor(SMALLEST_DISTANCE / spacings + 0.5).astype(int)
    images = np.stack(
        np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    coords = crystal.frac_coords
    for i in range(crystal.n_atoms):
        difference = coords[i:] - coords[i]
        difference -= np.round(difference)
        vectors = (difference[:, None, :] + images[None, :, :]) @ crystal.lattice
        distances = np.linalg.norm(vectors, axis=-1)
        distances[0][~images.any(axis=1)] = np.inf
        if distances.min() < SMALLEST_DISTANCE:
            j = int(distances.min(axis=1).argmin())
            return i, i + j, float(distances.min())
    return None
