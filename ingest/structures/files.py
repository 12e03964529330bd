"""Reads structure files: CIF, POSCAR and whatever else pymatgen reads; pymatgen and ASE JSON."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
_POSCAR_SUFFIXES = (".vasp", ".poscar", ".contcar")
_POSCAR_NAMES = ("POSCAR", "CONTCAR")


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
    if path.suffix.lower() in _POSCAR_SUFFIXES or path.name in _POSCAR_NAMES:
        text = path.read_text("utf-8")
        _check_poscar_counts(text)
        yield crystal_from_pymatgen(Structure.from_str(text, fmt="poscar"))
        return
    yield crystal_from_pymatgen(Structure.from_file(path))


def _check_poscar_counts(text: str) -> None:
    """Refuse a POSCAR that announces more sites than it has lines.

    pymatgen makes a list of the sites before it reads them: a count of 1,000,000,000 in a file of
    a hundred bytes takes 8 GB.
    """
    lines = text.splitlines()
    for line in lines[5:7]:
        announced = 0
        for field in line.split():
            try:
                announced += int(field)
            except ValueError:
                break
        if announced > len(lines):
            raise InvalidStructureError(
                f"the file announces {announced} sites and has {len(lines)} lines"
            )


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

        _check_ase_arrays(document)
        for atoms in read(path, index=":", format="json"):
            yield crystal_from_ase(atoms)
    else:
        raise InvalidStructureError(
            f"the JSON object with keys {sorted(document)[:8]} is neither a JARVIS, a pymatgen nor "
            "an ASE structure"
        )


def _check_ase_arrays(document: Any) -> None:
    """Refuse an array whose stated shape is not that of its data: ASE allocates what is stated."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            stated = value.get("__ndarray__")
            if isinstance(stated, list) and len(stated) == 3:
                shape, _, data = stated
                n = len(data) if isinstance(data, list) else -1
                whole = isinstance(shape, list) and all(isinstance(x, int) for x in shape)
                # Complex numbers are two values each.
                if not whole or n not in (math.prod(shape), 2 * math.prod(shape)):
                    raise InvalidStructureError(
                        f"an array is stated to have shape {shape!r} and has {n} values"
                    )
            waiting += value.values()
        elif isinstance(value, list):
            waiting += [item for item in value if isinstance(item, dict | list)]
