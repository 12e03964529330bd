"""What the libraries' readers pass over in silence, refused before they read.

XSF files of slabs and molecules, CFG files in another unit of length, and symmetry in RES and CSSR
files: the libraries read the atoms that are listed as a crystal without symmetry, in Å.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ingest.structures.refusals import (
    NoStructureError,
    SymmetryError,
    UnreadableFileError,
)

Check = Callable[[str], None]

_NOT_A_CRYSTAL = re.compile(r"^\s*(SLAB|POLYMER|MOLECULE|ATOMS)\b", re.MULTILINE)
_ANIMATION = re.compile(r"^\s*ANIMSTEPS\b", re.MULTILINE)
_DIMENSIONS = re.compile(r"^\s*DIM-?GROUP\s+(\d)", re.MULTILINE)
_SCALE = re.compile(r"^\s*A\s*=\s*(\S+)", re.MULTILINE)
_LATT = re.compile(r"^\s*LATT\s+(\S+)", re.MULTILINE | re.IGNORECASE)
_SYMM = re.compile(r"^\s*SYMM\b", re.MULTILINE | re.IGNORECASE)
_TITLE = re.compile(r"^TITL(?:[ \t]+\S+){6}[ \t]+(\d{1,6})[ \t]+\(", re.MULTILINE)
_RES_SITES = re.compile(r"^SFAC\b.*\n((?:.*\S.*\n)*?)END\b", re.MULTILINE)
_GROUP = re.compile(r"SPGR\s*=\s*(\d+)", re.IGNORECASE)
_CSSR_SITE = re.compile(r"\s*\d+\s+\w+(?:\s+-?\d+(?:\.\d*)?){3}(?:\s|$)")


def check_xsf(text: str) -> None:
    """An XSF file is one of a crystal.

    Raises
    ------
    NoStructureError
        If it is not periodic in three directions, or an animation of several structures.
    """
    if _ANIMATION.search(text):
        raise NoStructureError(
            "it is an animation (ANIMSTEPS) of several structures; write the one that is meant as "
            "an XSF file of its own, or all of them as extended XYZ"
        )
    found = _NOT_A_CRYSTAL.search(text)
    dimensions = _DIMENSIONS.search(text)
    if found or (dimensions and dimensions[1] != "3"):
        what = found[1] if found else f"DIM-GROUP {dimensions[1]}"  # type: ignore[index]
        raise NoStructureError(f"it is not periodic in three directions ({what})")


def check_cfg(text: str) -> None:
    """A CFG file's unit of length is 1 Å.

    Raises
    ------
    UnreadableFileError
        If it is another.
    """
    match = _SCALE.search(text)
    written = match[1] if match is not None else "1"
    try:
        other = float(written) != 1.0
    except ValueError:
        other = True
    if other:
        raise UnreadableFileError(
            f"its unit of length A is {written[:20]}, which the reader takes as 1 Å; write H0 in "
            "Å with A = 1.0"
        )


def check_res(text: str) -> None:
    """A RES file is one of AIRSS, which lists all atoms of its cell.

    Raises
    ------
    SymmetryError
        If it has the symmetry of a SHELX file.
    UnreadableFileError
        If its title announces another number of atoms.
    """
    latt = _LATT.search(text)
    if _SYMM.search(text) or (latt and latt[1] != "-1"):
        raise SymmetryError(
            "it is a SHELX file with symmetry (LATT, SYMM), of which the atoms alone would be "
            "read; use the CIF of the refinement"
        )
    announced, sites = _TITLE.search(text), _RES_SITES.search(text)
    if announced and sites and int(announced[1]) != len(sites[1].splitlines()):
        raise UnreadableFileError(
            f"its title announces {announced[1]} atoms and {len(sites[1].splitlines())} are listed"
        )


def check_cssr(text: str) -> None:
    """A CSSR file lists all atoms of its cell, each in a form that is read.

    Raises
    ------
    SymmetryError
        If it states a space group.
    UnreadableFileError
        If a line of a site would be passed over.
    """
    lines = text.splitlines()
    group = _GROUP.search(lines[1]) if len(lines) > 1 else None
    if group and group[1] != "1":
        raise SymmetryError(
            f"its space group is number {group[1]}, and its reader knows none but P 1; list all "
            "atoms of the cell"
        )
    sites = [(number, line) for number, line in enumerate(lines[4:], start=5) if line.strip()]
    for number, line in sites:
        if not _CSSR_SITE.match(line):
            raise UnreadableFileError(
                f"line {number} would not be read as a site: {line.strip()[:60]!r}"
            )
    announced = lines[2].split()[:1] if len(lines) > 2 else []
    if announced and announced[0].isdecimal() and int(announced[0]) != len(sites):
        raise UnreadableFileError(f"it announces {announced[0]} sites and lists {len(sites)}")
