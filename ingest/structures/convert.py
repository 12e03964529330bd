"""A stored crystal as the structure object of the library that works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jarvis.core.atoms import Atoms
    from pymatgen.core import Structure

    from featurestore.crystal import Crystal


def to_pymatgen(crystal: Crystal) -> Structure:
    """``crystal`` as a pymatgen structure: the same float64 values, the same site order."""
    from pymatgen.core import Structure

    return Structure(crystal.lattice, list(crystal.species), crystal.frac_coords)


def to_jarvis(crystal: Crystal) -> Atoms:
    """``crystal`` as jarvis-tools atoms: the same float64 values, the same site order."""
    from jarvis.core.atoms import Atoms

    return Atoms(
        lattice_mat=crystal.lattice.copy(),
        coords=crystal.frac_coords.copy(),
        elements=list(crystal.species),
        cartesian=False,
    )
