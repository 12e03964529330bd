"""The readers that ship, as parts: the formats they read and how files of them are recognised."""

from __future__ import annotations

from ingest.structures.readers.ase_database import read_ase_database, recognises_database
from ingest.structures.readers.by_libraries import by_ase, by_pymatgen
from ingest.structures.readers.cif import read_cif, recognises_cif
from ingest.structures.readers.extended_xyz import read_extended_xyz
from ingest.structures.readers.json_forms import read_json, read_json_lines, recognises_json
from ingest.structures.readers.overlooked import check_cfg, check_cssr, check_res, check_xsf
from ingest.structures.readers.poscar import read_poscar, recognises_poscar
from ingest.structures.readers.source_part import SourcePart
from ingest.structures.readers.vasprun import read_vasprun, recognises_vasprun

CIF = SourcePart(
    name="cif",
    summary="CIF and magnetic CIF, every data block with a structure, compared with pymatgen.",
    read=read_cif,
    suffixes=(".cif", ".mcif", ".mmcif"),
    recognises=recognises_cif,
    packages=("gemmi", "pymatgen", "spglib"),
    licence="MIT",
)

POSCAR = SourcePart(
    name="poscar",
    summary="POSCAR, CONTCAR and what begins like them, compared with pymatgen.",
    read=read_poscar,
    suffixes=(".vasp", ".poscar", ".contcar"),
    names=("poscar", "contcar", "chgcar", "locpot", "aeccar", "parchg"),
    recognises=recognises_poscar,
    packages=("pymatgen",),
    licence="MIT",
)

JSON = SourcePart(
    name="json",
    summary="JSON of pymatgen, Materials Project, JARVIS and ASE, from plain data.",
    read=read_json,
    suffixes=(".json",),
    recognises=recognises_json,
    licence="MIT",
)

JSON_LINES = SourcePart(
    name="json-lines",
    summary="The same forms, one document a line.",
    read=read_json_lines,
    suffixes=(".jsonl", ".ndjson"),
    licence="MIT",
)

EXTENDED_XYZ = SourcePart(
    name="extended-xyz",
    summary="The frames of an extended XYZ file, by ASE.",
    read=read_extended_xyz,
    suffixes=(".extxyz", ".xyz"),
    packages=("ase",),
    licence="MIT",
)

VASPRUN = SourcePart(
    name="vasprun",
    summary="The last structure of a vasprun.xml.",
    read=read_vasprun,
    names=("vasprun",),
    recognises=recognises_vasprun,
    shared_suffixes=(".xml",),
    licence="MIT",
)

ASE_DATABASE = SourcePart(
    name="ase-database",
    summary="The rows of ASE's SQLite data base, from plain arrays.",
    read=read_ase_database,
    recognises=recognises_database,
    shared_suffixes=(".db",),
    licence="MIT",
)

CSSR = SourcePart(
    name="cssr",
    summary="CSSR, by pymatgen.",
    read=by_pymatgen("cssr", check_cssr),
    suffixes=(".cssr",),
    packages=("pymatgen",),
    licence="MIT",
)

RES = SourcePart(
    name="res",
    summary="RES of AIRSS, by pymatgen, compared with ASE.",
    read=by_pymatgen("res", check_res, "res"),
    suffixes=(".res",),
    packages=("ase", "pymatgen"),
    licence="MIT",
)

XSF = SourcePart(
    name="xsf",
    summary="XSF, by pymatgen, compared with ASE.",
    read=by_pymatgen("xsf", check_xsf, "xsf"),
    suffixes=(".xsf",),
    packages=("ase", "pymatgen"),
    licence="MIT",
)


def _recognises_cfg(head: str) -> bool:
    return head.lstrip().startswith("Number of particles")


CFG = SourcePart(
    name="cfg",
    summary="CFG of AtomEye, by ASE.",
    read=by_ase("cfg", check_cfg),
    recognises=_recognises_cfg,
    shared_suffixes=(".cfg",),
    packages=("ase",),
    licence="MIT",
)


def _recognises_aims(head: str) -> bool:
    return head.count("lattice_vector") >= 3 and "atom" in head


FHI_AIMS = SourcePart(
    name="fhi-aims",
    summary="geometry.in of FHI-aims, by ASE.",
    read=by_ase("aims"),
    names=("geometry.in",),
    recognises=_recognises_aims,
    shared_suffixes=(".in",),
    packages=("ase",),
    licence="MIT",
)
