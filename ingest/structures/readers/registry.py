"""The formats that are read, and which of them a file is."""

from __future__ import annotations

from ingest.structures.opening import without_compression
from ingest.structures.readers.ase_database import read_ase_database, recognises_database
from ingest.structures.readers.base import Format, never
from ingest.structures.readers.by_libraries import by_ase, by_pymatgen, read_extended_xyz
from ingest.structures.readers.cif import read_cif, recognises_cif
from ingest.structures.readers.json_forms import read_json, read_json_lines, recognises_json
from ingest.structures.readers.poscar import read_poscar, recognises_poscar
from ingest.structures.readers.vasprun import read_vasprun, recognises_vasprun

FORMATS: tuple[Format, ...] = (
    Format("CIF", (".cif", ".mcif", ".mmcif"), (), recognises_cif, read_cif),
    Format(
        "POSCAR",
        (".vasp", ".poscar", ".contcar"),
        ("poscar", "contcar", "chgcar", "locpot", "aeccar", "parchg"),
        recognises_poscar,
        read_poscar,
    ),
    Format("JSON", (".json",), (), recognises_json, read_json),
    Format("JSON lines", (".jsonl", ".ndjson"), (), never, read_json_lines),
    Format("extended XYZ", (".extxyz", ".xyz"), (), never, read_extended_xyz),
    Format("vasprun.xml", (), ("vasprun",), recognises_vasprun, read_vasprun),
    Format("ASE data base", (), (), recognises_database, read_ase_database),
    Format("CSSR", (".cssr",), (), never, by_pymatgen("cssr")),
    Format("RES", (".res",), (), never, by_pymatgen("res", "res")),
    Format("XSF", (".xsf",), (), never, by_pymatgen("xsf", "xsf")),
    Format(
        "CFG", (), (), lambda head: head.lstrip().startswith("Number of particles"), by_ase("cfg")
    ),
    Format(
        "FHI-aims",
        (),
        ("geometry.in",),
        lambda head: head.count("lattice_vector") >= 3 and "atom" in head,
        by_pymatgen("aims", "aims"),
    ),
)

# What a name that begins like a format's may end with and still be something else: POSCAR.log.
_OTHER = (
    *(".log", ".out", ".txt", ".md", ".py", ".sh", ".yaml", ".yml", ".toml", ".csv", ".tsv"),
    *(".png", ".pdf", ".svg", ".html", ".ipynb", ".lock", ".swp", ".npy", ".npz", ".h5", ".dat"),
)
_SUFFIXES = (
    *(suffix for form in FORMATS for suffix in form.suffixes),
    *(".xml", ".db", ".cfg", ".in"),
)


def format_of_name(name: str) -> Format | None:
    """The format that a file's name tells, whatever its case and compression."""
    plain = without_compression(name).lower()
    for form in FORMATS:
        if plain.endswith(form.suffixes):
            return form
    if plain.endswith(_OTHER):
        return None
    for form in FORMATS:
        if any(
            plain.startswith(start) and not plain[len(start) : len(start) + 1].isalpha()
            for start in form.names
        ):
            return form
    return None


def format_of_content(head: str) -> Format | None:
    """The format that the beginning of a file is of; None if it is of none."""
    return next((form for form in FORMATS if form.recognises(head)), None)


def stem_of(name: str) -> str:
    """A file's name without the suffixes that say its format or compression."""
    plain = without_compression(name)
    for suffix in _SUFFIXES:
        if plain.lower().endswith(suffix) and len(plain) > len(suffix):
            return plain[: -len(suffix)]
    return plain
