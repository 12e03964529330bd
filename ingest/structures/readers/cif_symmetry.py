"""Which symmetry operations a CIF block means: those it lists, or those its symbols stand for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ingest.structures.readers.cif_blocks import Block, number
from ingest.structures.refusals import SymmetryError
from ingest.structures.space_groups import (
    Operations,
    Setting,
    is_group,
    number_of,
    operations_of_hall,
    operations_of_triplets,
    settings_of_number,
    settings_of_symbol,
)

_LISTED = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_magn_operation_xyz",
)
_MAGNETIC = ("_space_group_symop_magn_operation_xyz",)
_MAGNETIC_NAMES = (
    "_space_group_magn_name_bns",
    "_space_group_magn_number_bns",
    "_space_group_magn_name_og",
    "_space_group_magn_number_og",
)
_CENTERINGS = ("_space_group_symop_magn_centering_xyz",)
_HM = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m_full",
    "_symmetry_space_group_name_h-m_full",
    "_space_group_name_schoenflies",
)
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
_CHOICE = ("_space_group_it_coordinate_system_code",)
_MOST_OPERATIONS = 192 * 64


@dataclass(frozen=True, eq=False)
class Candidate:
    """Operations that a block may mean, and under which name."""

    operations: Operations
    name: str


@dataclass(frozen=True, eq=False)
class Symmetries:
    """What a block says about its symmetry.

    Parameters
    ----------
    candidates : tuple of Candidate
        One, or one for each origin that its symbol leaves open.
    number : int, optional
        Of the space group that it states.
    named : str
        What states it, for messages.
    derived : bool
        Whether the operations are not listed but come from a name.
    unsure : str
        Why only a formula with Z can tell if they are right; empty if they are plain.
    notes : tuple of str
    """

    candidates: tuple[Candidate, ...]
    number: int | None
    named: str
    derived: bool
    unsure: str = ""
    notes: tuple[str, ...] = ()


def symmetries(block: Block, lattice: npt.NDArray[np.float64]) -> Symmetries:
    """The operations of a block: listed, else by its Hall symbol, Hermann-Mauguin symbol, number.

    Raises
    ------
    SymmetryError
        If it names none that is understood, or they do not fit the cell or each other.
    """
    hall, symbol = _named(block, _HALL), _named(block, _HM)
    stated = number(block.value(*_NUMBER))
    choice = block.value(*_CHOICE) or ""
    it_number = int(stated) if stated and 1 <= stated <= 230 else None
    known = settings_of_symbol(symbol, choice) if symbol else []
    if it_number is None and known:
        numbers = {one.number for one in known}
        it_number = numbers.pop() if len(numbers) == 1 else None
    triplets = _triplets(block)
    if triplets:
        return _listed(block, triplets, it_number, symbol, lattice)
    if hall:
        operations = operations_of_hall(hall)
        if operations is not None:
            return _of_hall(operations, hall, it_number, lattice)
    if symbol and known:
        return _of_symbol(known, symbol, stated, lattice)
    if it_number is not None:
        return _of_number(it_number, symbol or hall, choice, lattice)
    named = symbol or hall
    magnetic = block.value(*_MAGNETIC_NAMES)
    if magnetic and not named:
        raise SymmetryError(
            f"no symmetry operations; those of its magnetic space group {magnetic[:60]!r} have to "
            "be listed"
        )
    raise SymmetryError(
        "no symmetry operations, space group "
        + (f"not understood: {named[:60]!r}" if named else "not stated")
    )


def _named(block: Block, tags: tuple[str, ...]) -> str | None:
    """A name of the space group; none where a program quotes its question mark."""
    name = block.value(*tags)
    return name if name is not None and name.strip("?. '\"") else None


def _triplets(block: Block) -> list[str]:
    listed = [value for value in block.values(*_LISTED) if value is not None and value.strip()]
    return listed if len(listed) == len(block.values(*_LISTED)) else []


def _listed(
    block: Block,
    triplets: list[str],
    it_number: int | None,
    symbol: str | None,
    lattice: npt.NDArray[np.float64],
) -> Symmetries:
    magnetic = bool(block.values(*_MAGNETIC))
    centerings = tuple(value for value in block.values(*_CENTERINGS) if value is not None)
    try:
        operations, whole, own = _of_triplets(tuple(triplets), centerings)
    except ValueError as error:
        raise SymmetryError(str(error)) from error
    if not whole:
        raise SymmetryError(
            f"the {len(operations)} symmetry operations that are listed are no group: some are "
            "missing or mistyped"
        )
    if not operations.fit(lattice):
        raise SymmetryError(
            "the symmetry operations that are listed do not fit the cell's edges and angles"
        )
    named = f"space group {symbol or it_number}"
    notes = ["magnetic: moments are not kept, atoms alone are read"] if magnetic else []
    unsure = ""
    if not magnetic and it_number is not None and own is not None and own != it_number:
        unsure = (
            f"the file names {named} ({it_number}), the operations it lists are those of number "
            f"{own}"
        )
    return Symmetries(
        (Candidate(operations, "as listed"),),
        it_number if not magnetic else None,
        named,
        derived=False,
        unsure=unsure,
        notes=tuple(notes),
    )


@lru_cache(maxsize=512)
def _of_triplets(
    triplets: tuple[str, ...], centerings: tuple[str, ...]
) -> tuple[Operations, bool, int | None]:
    """Listed operations, whether they are a group, and the number of their space group."""
    operations = operations_of_triplets(map(_spatial, triplets))
    if centerings:
        operations = _product(operations_of_triplets(map(_spatial, centerings)), operations)
    operations = _distinct(operations)
    whole = is_group(operations)
    return operations, whole, number_of(operations) if whole and not centerings else None


def _of_hall(
    operations: Operations, hall: str, it_number: int | None, lattice: npt.NDArray[np.float64]
) -> Symmetries:
    own = number_of(operations)
    if it_number is not None and own is not None and own != it_number:
        raise SymmetryError(
            f"the Hall symbol {hall!r} is of space group {own}, the file says {it_number}"
        )
    _check_fit([Setting(own or 0, "", operations)], f"the Hall symbol {hall!r}", lattice)
    return Symmetries(
        (Candidate(operations, f"the Hall symbol {hall!r}"),),
        own,
        f"the Hall symbol {hall!r}",
        derived=True,
        notes=(f"symmetry: no operations are listed; taken from the Hall symbol {hall!r}",),
    )


def _of_symbol(
    known: list[Setting], symbol: str, stated: float | None, lattice: npt.NDArray[np.float64]
) -> Symmetries:
    if stated and stated not in {one.number for one in known}:
        raise SymmetryError(
            f"the symbol {symbol!r} is of space group {known[0].number}, the file says {stated:g}"
        )
    named = f"the symbol {symbol!r}"
    fitting = _check_fit(
        [one for one in known if not stated or one.number == stated], named, lattice
    )
    return Symmetries(
        _open_choices(fitting),
        fitting[0].number,
        named,
        derived=True,
        notes=(
            f"symmetry: no operations are listed; taken from {named} "
            f"(space group {fitting[0].number})",
        ),
    )


def _of_number(
    it_number: int, name: str | None, choice: str, lattice: npt.NDArray[np.float64]
) -> Symmetries:
    named = f"the space group number {it_number}"
    settings = settings_of_number(it_number, choice)
    fitting = _check_fit(settings, named, lattice)
    unsure = f"the space group {name[:60]!r} is not understood, only its number" if name else ""
    return Symmetries(
        _open_choices(fitting),
        it_number,
        named,
        derived=True,
        unsure=unsure,
        notes=(f"symmetry: no operations are listed; standard setting of {named}",),
    )


def _check_fit(
    settings: list[Setting], named: str, lattice: npt.NDArray[np.float64]
) -> list[Setting]:
    fitting = [one for one in settings if one.operations.fit(lattice)]
    if not fitting:
        raise SymmetryError(
            f"the axes of {named} do not fit the cell's edges and angles; list the operations"
        )
    return fitting


def _open_choices(fitting: list[Setting]) -> tuple[Candidate, ...]:
    """The origins, if a symbol says nothing about them; else the standard axes."""
    first = fitting[0]
    if first.choice[:1] in ("1", "2") and first.choice:
        axes = first.choice[1:]
        return tuple(
            Candidate(one.operations, f"origin choice {one.choice[:1]}")
            for one in fitting
            if one.choice[1:] == axes and one.choice[:1] in ("1", "2")
        )
    return (Candidate(first.operations, f"setting {first.choice}"),)


def _spatial(triplet: str) -> str:
    """An operation without the time reversal of magnetic ones, ``x,y,z,+1``."""
    return ",".join(triplet.split(",")[:3]) if triplet.count(",") == 3 else triplet


def _product(left: Operations, right: Operations) -> Operations:
    if len(left) * len(right) > _MOST_OPERATIONS:
        raise ValueError(f"{len(left) * len(right):,} symmetry operations are too many")
    rotations = left.rotations[:, None] @ right.rotations[None, :]
    translations = (left.rotations[:, None] @ right.translations[None, :, :, None])[
        ..., 0
    ] + left.translations[:, None]
    return Operations(rotations.reshape(-1, 3, 3), translations.reshape(-1, 3))


def _distinct(operations: Operations) -> Operations:
    whole = np.concatenate(
        [operations.rotations.reshape(-1, 9), np.round(operations.translations % 1.0, 3) % 1.0],
        axis=1,
    )
    _, first = np.unique(whole, axis=0, return_index=True)
    kept = np.sort(first)
    return Operations(operations.rotations[kept], operations.translations[kept])
