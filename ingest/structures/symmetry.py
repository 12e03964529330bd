"""Space group, crystal system and point group of a structure, by spglib."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

from featurestore.crystal import Crystal
from ingest.structures.refusals import InvalidStructureError

# The tolerances of pymatgen's SpacegroupAnalyzer and of jarvis-tools' Spacegroup3D.
SYMPREC = 0.01  # Å
ANGLE_TOLERANCE = 5.0  # degrees

_LAST_NUMBER = (
    (2, "triclinic"),
    (15, "monoclinic"),
    (74, "orthorhombic"),
    (142, "tetragonal"),
    (167, "trigonal"),
    (194, "hexagonal"),
    (230, "cubic"),
)


@dataclass(frozen=True)
class Symmetry:
    """Symmetry of a structure; ``space_group`` is the Hermann-Mauguin symbol."""

    space_group_number: int
    space_group: str
    crystal_system: str
    point_group: str


def symmetry(crystal: Crystal) -> Symmetry:
    """Determine the symmetry with a tolerance of 0.01 Å and 5 degrees.

    Raises
    ------
    InvalidStructureError
        If spglib finds none, which happens for structures distorted near the tolerance.
    """
    # spglib's C code prints a warning for every structure near the tolerance.
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
    import spglib

    kinds = {species: number for number, species in enumerate(sorted(set(crystal.species)))}
    cell = (crystal.lattice, crystal.frac_coords, [kinds[species] for species in crystal.species])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = spglib.get_symmetry_dataset(
                cell, symprec=SYMPREC, angle_tolerance=ANGLE_TOLERANCE
            )
        except spglib.SpglibError as error:
            raise InvalidStructureError(f"spglib finds no symmetry: {error}") from error
    if found is None:
        raise InvalidStructureError(f"spglib finds no symmetry at {SYMPREC} Å")
    return Symmetry(
        int(found.number), found.international, crystal_system(found.number), found.pointgroup
    )


def crystal_system(space_group_number: int) -> str:
    """The crystal system of a space group, 1 to 230."""
    return next(system for last, system in _LAST_NUMBER if space_group_number <= last)
