"""Structure files of the candidates that are chosen, for the next calculation."""

from __future__ import annotations

from pathlib import Path

from featurestore.errors import InvalidInputError
from featurestore.output.names import file_name
from featurestore.output.rows import atomic_path
from train.screening.names import STRUCTURE_FORMATS
from train.screening.result import Screening


def write_structures(screening: Screening, folder: Path, format: str = "cif") -> list[Path]:
    """Write a file for each chosen candidate, named by its rank and material.

    Numbers are written in full. A CIF file is in space group P1, a POSCAR file has the sites of an
    element together.

    Parameters
    ----------
    screening : Screening
        What was chosen.
    folder : Path
        Made if it is not there. Files of other names in it are left.
    format : {"cif", "poscar"}
        Of the files.

    Returns
    -------
    list of Path
        Best first.

    Raises
    ------
    InvalidInputError
        If there is no such format.
    StorageError
        If a file cannot be written.
    """
    if format not in STRUCTURE_FORMATS:
        raise InvalidInputError(
            f"no structure files of format {format!r}: {', '.join(STRUCTURE_FORMATS)}"
        )
    from ase import Atoms
    from ase.io import write

    digits = max(2, len(str(len(screening.chosen))))
    written = []
    for number, name in enumerate(screening.chosen_ids, start=1):
        crystal = screening.crystals[name]
        atoms = Atoms(
            crystal.species, scaled_positions=crystal.frac_coords, cell=crystal.lattice, pbc=True
        )
        path = folder / file_name(f"{number:0{digits}}", name, suffix=STRUCTURE_FORMATS[format])
        with atomic_path(path) as temporary:
            if format == "cif":
                write(temporary, atoms, format="cif")
            else:
                write(temporary, atoms, format="vasp", direct=True, sort=True)
        written.append(path)
    return written
