"""A structure in the form of pymatgen's dictionaries, from plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.elements import ISOTOPES, of_type_symbol
from ingest.structures.places import species_at
from ingest.structures.readers.json_values import number_array
from ingest.structures.refusals import (
    LimitError,
    NoStructureError,
    UnknownElementError,
    UnreadableFileError,
)

_SAME = 0.01  # Å


def from_pymatgen(
    document: Mapping[str, Any], nearest_order: bool
) -> tuple[Crystal, tuple[str, ...]]:
    """pymatgen's ``Structure.as_dict``, lattice and sites, and notes on it.

    Raises
    ------
    InvalidStructureError
        Naming the site that is wrong, or the lattice.
    """
    sites = document["sites"]
    if not isinstance(sites, list):
        raise UnreadableFileError("'sites' is no list")
    if len(sites) > LARGEST_CELL:
        raise LimitError(f"the structure has {len(sites):,} sites, the largest {LARGEST_CELL:,}")
    lattice = _lattice(document["lattice"])
    species: list[str] = []
    coords: list[npt.NDArray[np.float64]] = []
    notes: dict[str, None] = {}
    for number, site in enumerate(sites):
        if not isinstance(site, dict):
            raise UnreadableFileError(f"site {number} is no object")
        symbol, note = species_at(str(number), _occupancies(site, number, notes), nearest_order)
        if note:
            notes[note] = None
        if symbol is None:
            continue
        species.append(symbol)
        coords.append(_position(site, number, lattice))
    charge = document.get("charge")
    if isinstance(charge, int | float) and charge:
        notes[f"charge: the cell is said to have the charge {charge:+g}, which is not kept"] = None
    return Crystal(lattice, tuple(species), np.array(coords).reshape(-1, 3)), tuple(notes)


def _lattice(given: Any) -> npt.NDArray[np.float64]:
    if not isinstance(given, dict):
        raise UnreadableFileError("'lattice' is no object with a matrix or with lengths and angles")
    periodic = given.get("pbc", True)
    if periodic is not True and (not isinstance(periodic, list) or not all(periodic)):
        raise NoStructureError(f"its lattice is not periodic in three directions (pbc {periodic})")
    parameters = [given.get(key) for key in ("a", "b", "c", "alpha", "beta", "gamma")]
    whole = all(isinstance(one, int | float) for one in parameters)
    if "matrix" in given:
        lattice = number_array(given["matrix"], (3, 3), "the lattice matrix")
        lengths = np.linalg.norm(lattice, axis=1)
        if whole and np.abs(lengths - np.array(parameters[:3], dtype=float)).max() > _SAME:
            raise UnreadableFileError(
                f"its lattice matrix has edges {', '.join(f'{one:.4g}' for one in lengths)} Å, its "
                f"a, b, c are {', '.join(f'{one:.4g}' for one in parameters[:3])}"
            )
        return lattice
    if not whole:
        raise UnreadableFileError("its lattice has neither a matrix nor lengths and angles")
    from pymatgen.core import Lattice

    lattice = np.array(Lattice.from_parameters(*parameters).matrix, dtype=float)
    if not np.isfinite(lattice).all():
        raise UnreadableFileError(f"no cell has the lengths and angles {parameters}")
    return lattice


def _occupancies(site: Mapping[str, Any], number: int, notes: dict[str, None]) -> dict[str, float]:
    listed = site.get("species")
    if not isinstance(listed, list) or not listed:
        raise UnreadableFileError(f"site {number} lists no species")
    amounts: Counter[str] = Counter()
    for one in listed:
        name = one.get("element") if isinstance(one, dict) else None
        occupancy = one.get("occu", 1) if isinstance(one, dict) else None
        symbol = of_type_symbol(name) if isinstance(name, str) else None
        if symbol is None or not symbol or not name.startswith(symbol):  # type: ignore[union-attr]
            raise UnknownElementError(f"site {number} holds {str(name)[:20]!r}, no element")
        if isinstance(occupancy, bool) or not isinstance(occupancy, int | float):
            raise UnreadableFileError(f"the occupancy of site {number} is no number")
        if not 0 <= occupancy <= 1.01:
            raise UnreadableFileError(f"the occupancy of site {number} is {occupancy:g}")
        if symbol in ISOTOPES:
            notes[f"isotope: {symbol} is stored as {ISOTOPES[symbol]}"] = None
        amounts[ISOTOPES.get(symbol, symbol)] += occupancy  # type: ignore[assignment]
    if len(listed) > 1 and len(amounts) == 1:
        notes[f"occupancy: several states of {next(iter(amounts))} share a site, one atom"] = None
    return dict(amounts)


def _position(
    site: Mapping[str, Any], number: int, lattice: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Fractional coordinates; Cartesian ones beside them must agree."""
    cartesian = (
        number_array(site["xyz"], (3,), f"'xyz' of site {number}")
        if site.get("xyz") is not None
        else None
    )
    if site.get("abc") is None:
        if cartesian is None:
            raise UnreadableFileError(f"site {number} has neither 'abc' nor 'xyz'")
        try:
            return np.asarray(np.linalg.solve(lattice.T, cartesian))
        except np.linalg.LinAlgError as error:
            raise UnreadableFileError("the lattice has no volume") from error
    fractional = number_array(site["abc"], (3,), f"'abc' of site {number}")
    if cartesian is not None and np.linalg.norm(fractional @ lattice - cartesian) > _SAME:
        raise UnreadableFileError(
            f"'abc' and 'xyz' of site {number} are different points of the lattice"
        )
    return fractional
