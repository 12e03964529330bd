"""The sites of a CIF block as places: elements, occupancies, positions, digits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ingest.structures.elements import ELEMENTS, ISOTOPES, of_label, of_type_symbol
from ingest.structures.places import Place, first_of
from ingest.structures.readers.cif_blocks import Block, Values, decimals, number
from ingest.structures.refusals import (
    CompositionError,
    DisorderError,
    InvalidStructureError,
    NoStructureError,
    OverlapError,
    UnknownElementError,
    UnreadableFileError,
)

_LEAST_TOLERANCE = 0.001  # Å
_MOST_TOLERANCE = 0.25  # Å; atoms that are two are farther apart
_EXACT = frozenset({0.0, 0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875})
_LETTERS = re.compile(r"[A-Za-z]+")
_FRACTION = re.compile(r"([+-]?\d{1,4})/(\d{1,4})$")
_COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")


@dataclass(frozen=True)
class Sites:
    """The asymmetric unit.

    Parameters
    ----------
    places : list of Place
    notes : list of str
        On how they were read.
    doubt : InvalidStructureError, optional
        Why they may not be all that there is, or more: raised unless a formula agrees with them.
    """

    places: list[Place]
    notes: list[str]
    doubt: InvalidStructureError | None


def read_sites(
    block: Block, lattice: npt.NDArray[np.float64], formula: Mapping[str, float] | None
) -> Sites:
    """The places of the asymmetric unit.

    Raises
    ------
    InvalidStructureError
        Naming the site that cannot be understood.
    """
    columns = _columns(block)
    labels, symbols = block.values("_atom_site_label"), block.values("_atom_site_type_symbol")
    occupancies = block.values("_atom_site_occupancy")
    flags = block.values("_atom_site_calc_flag")
    multiplicities = block.values(
        "_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity"
    )
    attached = block.values("_atom_site_attached_hydrogens")
    notes, disorder = _SiteNotes(), _Disorder(block)
    longest = float(np.linalg.norm(lattice, axis=1).max())
    found = _Places(len(columns[0]), lattice)
    for row in range(len(columns[0])):
        label = _at(labels, row) or f"number {row + 1}"
        if (_at(flags, row) or "").lower().startswith("dum"):
            notes.add("sites", "dummies, left out", label)
            continue
        written = [column[row] for column in columns]
        if written == [None] * 3 and _at(labels, row) is None and _at(symbols, row) is None:
            continue  # a row of question marks, where a program had nothing to say
        element, guessed = _element(label, _at(labels, row), _at(symbols, row), formula)
        if element in ISOTOPES:
            notes.add("isotope", f"{element}, stored as {ISOTOPES[element]}", label)
            element = ISOTOPES[element]
        if guessed:
            notes.add("label", f"without a type symbol, read as {element}", label)
        elif not formula and _names_another(label, element):
            notes.add("label", f"read as {element}, as their type symbols say", label)
        hydrogens = number(_at(attached, row))
        if hydrogens:
            notes.add("hydrogen", f"said to carry {hydrogens:g} H atoms each", label)
        occupancy = _occupancy(label, _at(occupancies, row) if occupancies else "1")
        if occupancy is None:
            notes.add("occupancy", "not known, taken as 1", label)
        if occupancy in (None, 1.0):
            disorder.add(label, row)
        position = [
            _coordinate(label, axis, value) for axis, value in zip("xyz", written, strict=True)
        ]
        stated = number(_at(multiplicities, row))
        place = Place(
            label,
            {element: 1.0 if occupancy is None else occupancy},
            np.array(position, dtype=float),
            _tolerance([value for value in written if value is not None], longest),
            int(stated) if stated else None,
        )
        found.add(place, notes)
    if not found.found:
        raise NoStructureError("its loop of atom sites is empty")
    doubt: InvalidStructureError | None = None
    if found.repeated:
        doubt = OverlapError(
            "sites are listed twice, and no formula says if they are to be there once"
        )
    elif notes.has("hydrogen"):
        doubt = CompositionError(
            f"{'; '.join(notes.sentences('hydrogen'))}: no formula says that these are listed"
        )
    elif disorder.alternatives:
        notes.add("disorder", "of several disorder groups, all taken", disorder.alternatives)
        doubt = DisorderError(
            f"its sites belong to alternative disorder groups ({disorder.alternatives}), each "
            "with occupancy 1, and no formula says that all of them are there"
        )
    return Sites(found.found, notes.sentences(), doubt)


class _SiteNotes:
    """Notes on sites, one for all sites of which the same is said."""

    def __init__(self) -> None:
        self._labels: dict[tuple[str, str], list[str]] = {}

    def add(self, kind: str, said: str, label: str) -> None:
        self._labels.setdefault((kind, said), []).append(label)

    def has(self, kind: str) -> bool:
        return any(one == kind for one, _ in self._labels)

    def sentences(self, kind: str = "") -> list[str]:
        return [
            f"{one}: {first_of(labels)}: {said}"
            for (one, said), labels in self._labels.items()
            if kind in ("", one)
        ]


class _Disorder:
    """Sites that a refinement puts into alternative groups, and that are whole."""

    def __init__(self, block: Block) -> None:
        self._groups = block.values("_atom_site_disorder_group")
        self._assemblies = block.values("_atom_site_disorder_assembly")
        self._found: dict[str, dict[str, str]] = {}

    def add(self, label: str, row: int) -> None:
        group = _at(self._groups, row)
        if group is not None and group.strip() != "0":
            assembly = _at(self._assemblies, row) or ""
            self._found.setdefault(assembly, {}).setdefault(group, label)

    @property
    def alternatives(self) -> str:
        """The first site of each group of an assembly that has several; empty if none has."""
        several = (groups for groups in self._found.values() if len(groups) > 1)
        return ", ".join(next(several, {}).values())


def _columns(block: Block) -> list[Values]:
    if not block.values(_COORDINATES[0]):
        raise NoStructureError(
            "its sites have Cartesian coordinates only, as those of macromolecules; fractional "
            "ones are needed"
        )
    columns = [block.values(tag) for tag in _COORDINATES]
    if not all(len(column) == len(columns[0]) for column in columns):
        raise UnreadableFileError("its sites lack one of the three fractional coordinates")
    return columns


def _element(
    named: str, label: str | None, symbol: str | None, formula: Mapping[str, float] | None
) -> tuple[str, bool]:
    """The element of a site, isotopes apart, and whether it was guessed from an odd label."""
    if symbol is not None:
        element = of_type_symbol(symbol)
        if element is None:
            raise UnknownElementError(
                f"the type symbol {symbol[:40]!r} of site {named} is no element"
            )
        if not symbol.strip().startswith(element) and not (
            formula and ISOTOPES.get(element, element) in formula
        ):
            raise UnknownElementError(
                f"the type symbol {symbol[:40]!r} of site {named} may be {element}, but no "
                "formula of the file says so"
            )
        return element, False
    if label is None:
        raise UnknownElementError(f"site {named} has neither a type symbol nor a label")
    read = of_label(label, formula or {})
    if read is None:
        raise UnknownElementError(
            f"site label {label[:40]!r} has no type symbol and does not begin with one "
            + ("of the file's formula" if formula else "that is sure")
            + "; add _atom_site_type_symbol"
        )
    return read


def _occupancy(label: str, written: str | None) -> float | None:
    if written is None:
        return None
    occupancy = number(written)
    if occupancy is None or occupancy < 0:
        raise UnreadableFileError(
            f"the occupancy of site {label} is no number from 0 to 1: {written[:40]!r}"
        )
    return occupancy


def _coordinate(label: str, axis: str, written: str | None) -> float:
    if written is None:
        raise UnreadableFileError(f"site {label} has no coordinate {axis}")
    fraction = _FRACTION.match(written.strip())
    if fraction is not None and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    value = number(written)
    if value is None:
        raise UnreadableFileError(
            f"coordinate {axis} of site {label} is no number: {written[:40]!r}"
        )
    return value


def _tolerance(written: list[str], longest: float) -> float:
    """Twice the last digit of the coordinate with the fewest, along the longest edge.

    A sum of three rounded coordinates is off by up to 1.5 of it. Coordinates such as 0 and 1/4
    are exact with few digits.
    """
    digits = [decimals(value) for value in written if abs(number(value) or 0.0) % 1.0 not in _EXACT]
    if not digits:
        return _LEAST_TOLERANCE
    step = 2.0 * 10.0 ** -min(digits) * longest
    return min(max(step, _LEAST_TOLERANCE), _MOST_TOLERANCE)


class _Places:
    """Places in the order of their sites; what is listed at one point is one place."""

    def __init__(self, number: int, lattice: npt.NDArray[np.float64]) -> None:
        self.found: list[Place] = []
        self.repeated = False
        self._points = np.empty((number, 3))
        self._lattice = lattice

    def add(self, place: Place, notes: _SiteNotes) -> None:
        """Add a place, or what it holds to the one at the same point."""
        apart = self._points[: len(self.found)] - place.position
        apart -= np.round(apart)
        near = np.linalg.norm(apart @ self._lattice, axis=1) <= _LEAST_TOLERANCE
        if not near.any():
            self._points[len(self.found)] = place.position
            self.found.append(place)
            return
        index = int(near.argmax())
        other = self.found[index]
        (element, amount), there = next(iter(place.occupancies.items())), dict(other.occupancies)
        if there == {element: 1.0} and amount == 1.0:
            said = "listed where another site of their element is, left out"
            notes.add("sites", said, place.label)
            self.repeated = True
            return
        if there.keys() == {element}:
            said = f"parts of {element} at one place, taken together"
            notes.add("occupancy", said, f"{other.label} and {place.label}")
        there[element] = there.get(element, 0.0) + amount
        self.found[index] = replace(other, label=f"{other.label}, {place.label}", occupancies=there)


def _names_another(label: str, element: str) -> bool:
    """Whether a label names an element that its type symbol does not."""
    letters = _LETTERS.match(label)
    return bool(letters and letters[0] in ELEMENTS and not letters[0].startswith(element))


def _at(values: Values, row: int) -> str | None:
    return values[row] if row < len(values) else None
