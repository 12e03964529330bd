"""An entry of OPTIMADE's ``structures`` as a crystal, from plain data (specification 1.x).

What the specification lets a provider leave out, and what no ordered crystal has, is refused by
name: disorder, assemblies, attached or implied atoms, unknown positions, cells that are not
periodic in three directions.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.elements import ELEMENTS
from ingest.structures.places import species_at
from ingest.structures.readers.base import Found
from ingest.structures.refusals import (
    CompositionError,
    DisorderError,
    LimitError,
    NoStructureError,
    UnknownElementError,
    UnreadableFileError,
)
from ingest.structures.stated import compare, parse_formula

#: What is read of an entry, beside its id.
FIELDS = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "nsites",
    "structure_features",
    "assemblies",
    "dimension_types",
    "nperiodic_dimensions",
    "chemical_formula_reduced",
    "space_group_it_number",
    "last_modified",
)

_FEATURES = {
    "disorder": "it is disordered",
    "implicit_atoms": "atoms are implied that have no site",
    "site_attachments": "atoms are attached to sites without positions",
    "assemblies": "sites exclude each other (assemblies)",
    "unknown_positions": "positions are unknown",
}


def is_entry(document: Any) -> bool:
    """Whether plain data is an entry of ``structures``."""
    return (
        isinstance(document, dict)
        and document.get("type") == "structures"
        and isinstance(document.get("attributes"), dict)
    )


def is_header(document: Any) -> bool:
    """Whether it is a line of an OPTIMADE JSON-lines file that describes the others."""
    return isinstance(document, dict) and (
        "x-optimade" in document or (document.get("type") == "info" and "properties" in document)
    )


def read_entry(entry: Mapping[str, Any], nearest_order: bool = False) -> Found:
    """The structure of an entry, named by the entry's id; its numbers beside it are targets.

    Raises
    ------
    InvalidStructureError
        By the kinds of `ingest.structures.refusals`, naming what is lacking or cannot be used.
    """
    attributes = entry["attributes"]
    _check_features(attributes, nearest_order)
    lattice = _numbers(attributes, "lattice_vectors", 3)
    crystal, notes = _crystal(attributes, lattice, nearest_order)
    if not notes:
        _check_formula(attributes, crystal)
    number = attributes.get("space_group_it_number")
    return Found(
        crystal,
        notes=notes,
        targets={
            name: value
            for name, value in attributes.items()
            if name.startswith("_") and isinstance(value, int | float) and value is not True
        },
        material_id=str(entry.get("id", "")),
        space_group=number if type(number) is int and 1 <= number <= 230 else None,
    )


def _check_features(attributes: Mapping[str, Any], nearest_order: bool) -> None:
    features = attributes.get("structure_features") or []
    if not isinstance(features, list) or not all(isinstance(one, str) for one in features):
        raise UnreadableFileError("'structure_features' is no list of words")
    for feature in features:
        if feature == "disorder":
            continue  # judged below, by the occupancies
        said = _FEATURES.get(feature, "what that means is not known here")
        raise DisorderError(f"structure feature {feature!r}: {said}")
    if attributes.get("assemblies"):
        raise DisorderError(f"structure feature 'assemblies': {_FEATURES['assemblies']}")
    dimensions = attributes.get("dimension_types")
    number = attributes.get("nperiodic_dimensions")
    if (dimensions is not None and dimensions != [1, 1, 1]) or number not in (None, 3):
        raise NoStructureError(
            f"it is not periodic in three directions (dimension_types {str(dimensions)[:40]}, "
            f"nperiodic_dimensions {str(number)[:10]})"
        )
    if "disorder" in features and not nearest_order and not _is_shared(attributes):
        raise DisorderError(
            "structure feature 'disorder' is stated, and no species says how its sites are shared"
        )


def _is_shared(attributes: Mapping[str, Any]) -> bool:
    given = attributes.get("species")
    listed = given if isinstance(given, list) else []
    lists = [one.get("chemical_symbols") for one in listed if isinstance(one, dict)]
    return any(isinstance(one, list) and len(one) > 1 for one in lists)


def _crystal(
    attributes: Mapping[str, Any], lattice: npt.NDArray[np.float64], nearest_order: bool
) -> tuple[Crystal, tuple[str, ...]]:
    at_sites = attributes.get("species_at_sites")
    if not isinstance(at_sites, list) or not at_sites:
        raise NoStructureError("the provider gives no species_at_sites")
    if len(at_sites) > LARGEST_CELL:
        raise LimitError(f"the structure has {len(at_sites):,} sites, the largest {LARGEST_CELL:,}")
    positions = _numbers(attributes, "cartesian_site_positions", len(at_sites))
    number = attributes.get("nsites")
    if number is not None and number != len(at_sites):
        raise UnreadableFileError(
            f"nsites is {json.dumps(number)[:20]}, species_at_sites has {len(at_sites)}"
        )
    known = _species(attributes)
    symbols: list[str] = []
    kept: list[int] = []
    notes: list[str] = []
    for site, name in enumerate(at_sites):
        if not isinstance(name, str) or name not in known:
            raise UnknownElementError(f"site {site} holds {str(name)[:40]!r}, no species of these")
        symbol, note = species_at(f"{site} ({name[:40]})", known[name], nearest_order)
        notes += [note] if note else []
        if symbol is not None:
            symbols.append(symbol)
            kept.append(site)
    try:
        coords = np.linalg.solve(lattice.T, positions[kept].T).T
    except np.linalg.LinAlgError as error:
        raise UnreadableFileError("the lattice has no volume") from error
    return Crystal(lattice, tuple(symbols), np.ascontiguousarray(coords)), tuple(notes)


def _species(attributes: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The occupancies of each species by its name, vacancies left out."""
    listed = attributes.get("species")
    if not isinstance(listed, list) or not listed:
        raise NoStructureError("the provider gives no species")
    known: dict[str, dict[str, float]] = {}
    for one in listed:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise UnreadableFileError("a species has no name")
        if one.get("attached") or one.get("nattached"):
            raise DisorderError(f"species {name[:40]!r} has attached atoms without positions")
        occupancies = _occupancies(one, name[:40])
        if known.setdefault(name, occupancies) != occupancies:
            raise UnreadableFileError(f"species {name[:40]!r} is there twice, and not the same")
    return known


def _occupancies(one: Mapping[str, Any], name: str) -> dict[str, float]:
    symbols, shares = one.get("chemical_symbols"), one.get("concentration")
    if not isinstance(symbols, list) or not symbols:
        raise UnreadableFileError(f"species {name!r} lists no chemical_symbols")
    if not isinstance(shares, list) or len(shares) != len(symbols):
        raise UnreadableFileError(f"species {name!r} has no concentration for each symbol")
    amounts: dict[str, float] = defaultdict(float)
    for symbol, share in zip(symbols, shares, strict=True):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1.01:
            raise UnreadableFileError(f"a concentration of species {name!r} is no share of a site")
        if symbol == "vacancy":
            continue
        if not isinstance(symbol, str) or symbol not in ELEMENTS:
            raise UnknownElementError(f"species {name!r} holds {str(symbol)[:20]!r}, no element")
        amounts[symbol] += share
    return dict(amounts)


def _numbers(attributes: Mapping[str, Any], name: str, rows: int) -> npt.NDArray[np.float64]:
    """Rows of three coordinates, Å; a null in them is a value that the provider does not know."""
    given = attributes.get(name)
    if given is None:
        raise NoStructureError(f"the provider gives no {name}")
    if not isinstance(given, list) or len(given) != rows:
        count = len(given) if isinstance(given, list) else "no list"
        raise UnreadableFileError(f"{name} should be {rows} rows of three numbers; it has {count}")
    for row in given:
        if row is None or (isinstance(row, list) and None in row):
            raise NoStructureError(f"{name} holds null: the provider does not know all of it")
        if (
            not isinstance(row, list)
            or len(row) != 3
            or not all(isinstance(one, int | float) and type(one) is not bool for one in row)
        ):
            raise UnreadableFileError(f"{name} should be {rows} rows of three numbers")
    try:
        return np.array(given, dtype=np.float64)
    except OverflowError as error:
        raise UnreadableFileError(f"{name} holds a number of hundreds of digits") from error


def _check_formula(attributes: Mapping[str, Any], crystal: Crystal) -> None:
    stated = attributes.get("chemical_formula_reduced")
    if not isinstance(stated, str):
        return
    differs = compare(crystal.species, parse_formula(stated), None).formula
    if differs:
        raise CompositionError(differs.replace("the file's", "the provider's"))
