"""Reads structures in JSON by hand, from plain data: pymatgen's, ASE's, JARVIS's, OPTIMADE's forms.

Nothing is imported or built by a name that stands in the file. Known are a structure, a document
that holds one (Materials Project, ComputedStructureEntry, …), lists of them, an answer of an
OPTIMADE server, and ASE's data base.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.messages import storable
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.elements import BY_NUMBER, ISOTOPES, of_type_symbol
from ingest.structures.jarvis import crystal_from_jarvis
from ingest.structures.places import species_at
from ingest.structures.readers.base import Content, Found, parse_json
from ingest.structures.readers.json_statements import compared_with_document
from ingest.structures.readers.optimade_form import is_entry, is_header, read_entry
from ingest.structures.refusals import (
    InvalidStructureError,
    LimitError,
    NoStructureError,
    UnknownElementError,
    UnreadableFileError,
)

_IDS = ("material_id", "jid", "task_id", "entry_id", "id")
_SAME = 0.01  # Å


def recognises_json(head: str) -> bool:
    """Whether a text without a telling name is JSON with a lattice in it."""
    return head.lstrip()[:1] in ("{", "[") and '"lattice' in head


def read_json(content: Content) -> Iterator[Found]:
    """The structures of a JSON document, of a list or of JSON lines.

    Raises
    ------
    UnreadableFileError
        If it is no JSON.
    NoStructureError
        If no structure is in it.
    """
    document = parse_json(content.text)
    found = list(_documents(document, content.nearest_order))
    if not found:
        raise NoStructureError(f"the JSON holds no structure: it is {_described(document)}")
    yield from found


def read_json_lines(content: Content) -> Iterator[Found]:
    """The structures of a file with one JSON document a line."""
    some = False
    for number, line in enumerate(content.text.splitlines(), start=1):
        if not line.strip():
            continue
        some = True
        try:
            document = parse_json(line)
            found = list(_documents(document, content.nearest_order))
            if not found and is_header(document):
                continue
            if not found:
                raise NoStructureError("the JSON of this line holds no structure")
        except InvalidStructureError as error:
            found = [Found(Failure.of(error))]
        for one in found:
            block = f"line {number}{', ' + one.block if one.block else ''}"
            yield replace(one, block=block)
    if not some:
        raise NoStructureError("the file is empty")


def _documents(document: Any, nearest_order: bool) -> Iterator[Found]:
    if isinstance(document, list):
        yield from _of_list(document, nearest_order)
    elif isinstance(document, dict):
        one = of_document(document, nearest_order)
        if one is not None:
            yield one
        elif isinstance(document.get("ids"), list):
            for key in document["ids"]:
                yield _attempt(document.get(str(key)), str(key), nearest_order)
        else:
            # by their ids, or a table's column of structures by its rows
            column = document.get("structure")
            for entries in (document, column if isinstance(column, dict) else {}):
                for key, value in entries.items():
                    if _holds_structure(value):
                        yield _attempt(value, key, nearest_order)
                    elif isinstance(value, list):
                        yield from _of_list(value, nearest_order)


def _of_list(documents: list[Any], nearest_order: bool) -> Iterator[Found]:
    """All of a list, if any of it is a structure: an entry that is none is a failure."""
    if any(map(_holds_structure, documents)):
        for number, entry in enumerate(documents, start=1):
            yield _attempt(entry, str(number), nearest_order)


def _attempt(document: Any, block: str, nearest_order: bool) -> Found:
    try:
        one = of_document(document, nearest_order) if isinstance(document, dict) else None
        if one is None:
            raise NoStructureError(f"entry {block} holds no structure")
    except InvalidStructureError as error:
        return Found(Failure.of(error), block, material_id=_id_of(document))
    return replace(one, block=block)


def _holds_structure(document: Any) -> bool:
    return isinstance(document, dict) and (
        _is_structure(document)
        or is_entry(document)
        or _is_structure(document.get("structure"))
        or _is_structure(document.get("atoms"))
    )


def _is_structure(document: Any) -> bool:
    return isinstance(document, dict) and (
        ("lattice" in document and "sites" in document)
        or "lattice_mat" in document
        or ("positions" in document and ("numbers" in document or "symbols" in document))
    )


def of_document(document: Mapping[str, Any], nearest_order: bool) -> Found | None:
    """The structure that a document is, or that it holds; None if neither.

    Raises
    ------
    InvalidStructureError
        If it is none that can be used, whatever stands in it.
    """
    try:
        return _of_document(document, nearest_order)
    except InvalidStructureError:
        raise
    except Exception as error:  # values that nobody thought of, on which NumPy raises anything
        said = " ".join(str(error).split())[:160]
        raise UnreadableFileError(
            f"it breaks the rules of its form ({type(error).__name__}: {said})"
        ) from error


def _of_document(document: Mapping[str, Any], nearest_order: bool) -> Found | None:
    """The structure that a document is, or that it holds; None if neither."""
    if is_entry(document):
        return replace(read_entry(document, nearest_order), material_id=_id_of(document))
    if _is_structure(document):
        crystal, notes = _crystal(document, nearest_order)
        targets = ase_targets(document, crystal.n_atoms) if "positions" in document else {}
        return Found(crystal, notes=notes, targets=targets, material_id=_id_of(document))
    for key in ("structure", "atoms"):
        if _is_structure(document.get(key)):
            crystal, notes = _crystal(document[key], nearest_order)
            notes += compared_with_document(document, crystal, notes)
            return Found(
                crystal, notes=notes, targets=_numbers(document), material_id=_id_of(document)
            )
    return None


def _crystal(document: Mapping[str, Any], nearest_order: bool) -> tuple[Crystal, tuple[str, ...]]:
    if "lattice_mat" in document:
        return crystal_from_jarvis(document), ()
    if "positions" in document:
        return _from_ase(document), ()
    return _from_pymatgen(document, nearest_order)


def _from_pymatgen(
    document: Mapping[str, Any], nearest_order: bool
) -> tuple[Crystal, tuple[str, ...]]:
    """pymatgen's ``Structure.as_dict``: lattice and sites."""
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
        lattice = _array(given["matrix"], (3, 3), "the lattice matrix")
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
        _array(site["xyz"], (3,), f"'xyz' of site {number}")
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
    fractional = _array(site["abc"], (3,), f"'abc' of site {number}")
    if cartesian is not None and np.linalg.norm(fractional @ lattice - cartesian) > _SAME:
        raise UnreadableFileError(
            f"'abc' and 'xyz' of site {number} are different points of the lattice"
        )
    return fractional


def _from_ase(document: Mapping[str, Any]) -> Crystal:
    """A row of ASE's JSON data base, with arrays as lists or as ``__ndarray__``."""
    cell = document.get("cell")
    if isinstance(cell, dict):
        cell = cell.get("array", cell)
    if cell is None:
        raise NoStructureError("the ASE atoms have no cell")
    lattice = _array(cell, (3, 3), "the cell")
    pbc = _plain(document.get("pbc", False))
    if pbc is not True and (not isinstance(pbc, list) or len(pbc) != 3 or not all(pbc)):
        raise NoStructureError("the ASE atoms are not periodic in three directions")
    numbers = _plain(document.get("numbers"))
    if not isinstance(numbers, list) or len(numbers) > LARGEST_CELL:
        raise UnreadableFileError(f"'numbers' is no list of up to {LARGEST_CELL:,} atomic numbers")
    positions = _array(document["positions"], (len(numbers), 3), "the positions")
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
        _numbers({**(pairs if isinstance(pairs, dict) else {}), **results}), atoms
    )


def with_ase_names(numbers: dict[str, float], atoms: int) -> dict[str, float]:
    """ASE's results under properties' names: its ``magmom`` is of the cell, like its energy."""
    found = dict(numbers)
    if "energy" in found:
        found.setdefault("energy_per_atom", found["energy"] / atoms)
    if "magmom" in found:
        found.setdefault("total_magnetization", found.pop("magmom"))
    return found


def _plain(given: Any) -> Any:
    """The list that an array stands for; the shape that ASE's form states must be its own."""
    if not (isinstance(given, dict) and "__ndarray__" in given):
        return given
    stated = given["__ndarray__"]
    if not (isinstance(stated, list) and len(stated) == 3 and isinstance(stated[2], list)):
        raise UnreadableFileError("an array is not given as shape, type and values")
    shape, _, values = stated
    whole = isinstance(shape, list) and all(isinstance(one, int) for one in shape)
    if not whole or math.prod(shape) != len(values):
        raise UnreadableFileError(
            f"an array is stated to have shape {str(shape)[:40]} and has {len(values)} values"
        )
    return values


def _array(given: Any, shape: tuple[int, ...], what: str) -> npt.NDArray[np.float64]:
    if isinstance(given, dict) and "data" in given:  # an array of NumPy as monty writes it
        given = given["data"]
    values = _plain(given)
    try:
        array = np.array(values, dtype=np.float64)
        if array.size != math.prod(shape):
            raise ValueError
        return array.reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableFileError(
            f"{what} should be {' × '.join(map(str, shape))} numbers"
        ) from error


def _numbers(document: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that stand beside a structure; those the registry knows are targets."""
    return {
        key: value
        for key, value in document.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and key not in _IDS
    }


def _id_of(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    for key in _IDS:
        value = document.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return storable(str(value))
    return ""


def _described(document: Any) -> str:
    if isinstance(document, dict):
        return f"an object with the keys {sorted(map(str, document))[:8]}"
    if isinstance(document, list):
        return f"a list of {len(document)} entries, none of which is a structure"
    return f"a {type(document).__name__}"
