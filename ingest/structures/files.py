"""Reads structure files: CIF, POSCAR and whatever else pymatgen reads; pymatgen and ASE JSON."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.structures.checks import InvalidStructureError
from ingest.structures.jarvis import crystal_from_jarvis
from ingest.structures.records import MaterialRecord

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

_LARGEST_FILE = 256 << 20  # bytes


def read_structure_file(path: Path) -> list[MaterialRecord]:
    """The structures in one file, named by its stem; a file of several adds their numbers.

    A file that cannot be read is one record with a `Failure`.
    """
    stem = path.name.removesuffix(path.suffix) if path.suffix else path.name
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InvalidStructureError(f"the file has {path.stat().st_size:,} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            crystals = list(_crystals(path))
        if not crystals:
            raise InvalidStructureError("the file holds no structure")
    # The parsers of pymatgen and ASE raise anything, from KeyError to AssertionError.
    except Exception as error:
        return [MaterialRecord(stem, Failure.of(error), source_file=path.name)]
    if len(crystals) == 1:
        return [MaterialRecord(stem, crystals[0], source_file=path.name)]
    return [
        MaterialRecord(f"{stem}/{number}", crystal, source_file=path.name)
        for number, crystal in enumerate(crystals, start=1)
    ]


def crystal_from_pymatgen(structure: Structure) -> Crystal:
    """A pymatgen structure without its oxidation states.

    Raises
    ------
    InvalidStructureError
        If a site is partially occupied or shared by several species.
    """
    species = []
    for number, site in enumerate(structure):
        occupancy = dict(site.species.items())
        if len(occupancy) != 1 or abs(sum(occupancy.values()) - 1) > 1e-8:
            raise InvalidStructureError(
                f"partial occupancy: site {number} holds {site.species_string}; make an ordered "
                "structure of it first, for example with pymatgen's "
                "OrderDisorderedStructureTransformation"
            )
        species.append(getattr(site.specie, "symbol", str(site.specie)))
    return Crystal(
        np.array(structure.lattice.matrix, dtype=np.float64),
        tuple(species),
        np.array(structure.frac_coords, dtype=np.float64).reshape(-1, 3),
    )


def crystal_from_ase(atoms: Atoms) -> Crystal:
    """ASE atoms that are periodic in all three directions.

    Raises
    ------
    InvalidStructureError
        If they are not, or have no cell.
    """
    if not all(atoms.pbc) or atoms.cell.rank < 3:
        raise InvalidStructureError("the ASE atoms are not periodic in three directions")
    return Crystal(
        np.array(atoms.cell, dtype=np.float64),
        tuple(atoms.get_chemical_symbols()),
        np.array(atoms.get_scaled_positions(wrap=False), dtype=np.float64),
    )


def _crystals(path: Path) -> Iterator[Crystal]:
    if path.suffix == ".json":
        yield from _from_json(path)
        return
    from pymatgen.core import Structure

    if path.suffix.lower() == ".cif":
        from pymatgen.io.cif import CifParser

        for structure in CifParser(path, occupancy_tolerance=1.0).parse_structures(
            primitive=False, on_error="raise"
        ):
            yield crystal_from_pymatgen(structure)
        return
    if path.suffix.lower() in (".vasp", ".poscar", ".contcar"):
        yield crystal_from_pymatgen(Structure.from_str(path.read_text("utf-8"), fmt="poscar"))
        return
    yield crystal_from_pymatgen(Structure.from_file(path))


def _from_json(path: Path) -> Iterator[Crystal]:
    document = json.loads(path.read_text("utf-8-sig"))
    if not isinstance(document, dict):
        raise InvalidStructureError("the JSON holds no structure object")
    if "lattice_mat" in document:
        yield crystal_from_jarvis(document)
    elif "lattice" in document and "sites" in document:
        from pymatgen.core import Structure

        yield crystal_from_pymatgen(Structure.from_dict(document))
    elif "ids" in document:
        from ase.io import read

        for atoms in read(path, index=":", format="json"):
            yield crystal_from_ase(atoms)
    else:
        raise InvalidStructureError(
            f"the JSON object with keys {sorted(document)[:8]} is neither a JARVIS, a pymatgen nor "
            "an ASE structure"
        )
