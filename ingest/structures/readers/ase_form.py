"""A structure in the form of ASE's data bases, and their results under properties' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.elements import BY_NUMBER
from ingest.structures.readers.json_values import number_array, numbers_of, plain_list
from ingest.structures.refusals import NoStructureError, UnknownElementError, UnreadableFileError


def from_ase(document: Mapping[str, Any]) -> Crystal:
    """A row of ASE's JSON data base, with arrays as lists or as ``__ndarray__``.

    Raises
    ------
    InvalidStructureError
        As `crystal_of_ase`; if it is not periodic in three directions, or no such row.
    """
    cell = document.get("cell")
    if isinstance(cell, dict):
        cell = cell.get("array", cell)
    if cell is None:
        raise NoStructureError("it has no cell")
    lattice = number_array(cell, (3, 3), "the cell")
    pbc = plain_list(document.get("pbc", False))
    if pbc is not True and (not isinstance(pbc, list) or len(pbc) != 3 or not all(pbc)):
        raise NoStructureError("it is not periodic in three directions")
    numbers = plain_list(document.get("numbers"))
    if not isinstance(numbers, list) or len(numbers) > LARGEST_CELL:
        raise UnreadableFileError(f"'numbers' is no list of up to {LARGEST_CELL:,} atomic numbers")
    positions = number_array(document["positions"], (len(numbers), 3), "the positions")
    return crystal_of_ase(lattice, numbers, positions)


def crystal_of_ase(
    lattice: npt.NDArray[np.float64], numbers: list[Any], positions: npt.NDArray[np.float64]
) -> Crystal:
    """A crystal of ASE's arrays: atomic numbers, Cartesian positions in Å.

    Raises
    ------
    UnknownElementError
        If a number is none of an element.
    UnreadableFileError
        If the cell has no volume.
    """
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 118:
            raise UnknownElementError(f"{str(number)[:20]!r} is no atomic number")
    try:
        coords = np.asarray(np.linalg.solve(lattice.T, positions.T).T, dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise UnreadableFileError("the cell has no volume") from error
    return Crystal(lattice, tuple(BY_NUMBER[number - 1] for number in numbers), coords)


def ase_targets(row: Mapping[str, Any], atoms: int) -> dict[str, float]:
    """The numbers of a row's key-value pairs, and its energy (eV) and magnetic moment."""
    pairs = row.get("key_value_pairs")
    results = {name: row[name] for name in ("energy", "magmom") if row.get(name) is not None}
    return with_ase_names(
        numbers_of({**(pairs if isinstance(pairs, dict) else {}), **results}), atoms
    )


def with_ase_names(numbers: dict[str, float], atoms: int) -> dict[str, float]:
    """ASE's results under properties' names: its ``magmom`` is of the cell, like its energy."""
    found = dict(numbers)
    if "energy" in found:
        found.setdefault("energy_per_atom", found["energy"] / atoms)
    if "magmom" in found:
        found.setdefault("total_magnetization", found.pop("magmom"))
    return found
