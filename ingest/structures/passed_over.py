"""Files that are passed over by their names: back-ups, halves, and formats that are not read."""

from __future__ import annotations

import re

from ingest.structures.opening import without_compression
from ingest.structures.records import NotAStructure

_BACK_UP = re.compile(
    r"\.(?:bak|backup|orig|old|save|sw[op]|tmp|temp|part|partial|crdownload|rej)$"
    r"|~$|^~\$|^#.*#$",
    re.IGNORECASE,
)
_NOT_READ = {
    "of Quantum ESPRESSO": (".pwi", ".pwo"),
    "of CASTEP": (".cell", ".castep"),
    "of DFTB+": (".gen",),
    "of SIESTA": (".fdf",),
    "of CRYSTAL": (".d12", ".gui"),
    "of WIEN2k": (".struct",),
    "of Gaussian": (".gjf", ".cube"),
    "of LAMMPS": (".lammps-data", ".lmp", ".dump"),
    "of ASE": (".traj",),
    "of Materials Studio": (".car", ".xsd"),
    "of macromolecules and molecules": (".pdb", ".ent", ".gro", ".mol", ".mol2", ".sdf", ".cml"),
}


def back_up(name: str) -> NotAStructure | None:
    """Why a file of a folder is passed over whatever is in it: it is the state before another."""
    if not _BACK_UP.search(without_compression(name)):
        return None
    return NotAStructure(
        "BackUp", "a back-up or half of a file by its name; named itself, it is read"
    )


def unread_format(name: str) -> NotAStructure | None:
    """Why a file without a reader is passed over, where its suffix means a format."""
    plain = without_compression(name).lower()
    if plain.startswith("outcar"):
        return NotAStructure(
            "UnreadFormat", "VASP's output, read for the CONTCAR or POSCAR beside it alone"
        )
    for program, suffixes in _NOT_READ.items():
        if plain.endswith(suffixes):
            return NotAStructure(
                "UnreadFormat",
                f"of a format {program}, which is not read; where it holds a crystal, `ase "
                "convert` makes a CIF or an extended XYZ file of it",
            )
    return None
