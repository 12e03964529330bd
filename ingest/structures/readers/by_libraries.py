"""Formats that pymatgen and ASE read: extended XYZ, CSSR, RES, XSF, CFG, FHI-aims."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.readers.base import Content, Found, Reader
from ingest.structures.readers.json_forms import with_ase_names
from ingest.structures.readers.overlooked import Check
from ingest.structures.refusals import (
    InvalidStructureError,
    LimitError,
    NoStructureError,
    UnknownElementError,
    UnreadableFileError,
)
from ingest.structures.second_reading import compared, crystal_from_pymatgen

if TYPE_CHECKING:
    from ase import Atoms

_Read = TypeVar("_Read")

_LIKE_A_SYMBOL = re.compile(r"[A-Z][A-Za-z]?[\d+-]*$")
_RESULTS = ("energy", "magmom")
_COLUMNS = re.compile(r":[SIRL]:0*([0-9]+)")
_MOST_COLUMNS = 10_000
_LONGEST_TEXT = 32 << 20  # characters; a cell of the largest size has some 1 MB


def crystal_from_ase(atoms: Atoms) -> Crystal:
    """ASE atoms that are periodic in all three directions.

    Raises
    ------
    NoStructureError
        If they are not, or have no cell.
    """
    if not all(atoms.pbc) or atoms.cell.rank < 3:
        raise NoStructureError("the ASE atoms are not periodic in three directions")
    return Crystal(
        np.array(atoms.cell, dtype=np.float64),
        tuple(atoms.get_chemical_symbols()),
        np.array(atoms.get_scaled_positions(wrap=False), dtype=np.float64),
    )


def read_extended_xyz(content: Content) -> Iterator[Found]:
    """The frames of an (extended) XYZ file; those without a lattice are failures."""
    for number, frame in enumerate(_frames(content.text), start=1):
        try:
            _check_columns(frame)
            atoms, notes = _quietly(lambda frame=frame: _ase_atoms(frame, "extxyz"))  # type: ignore[misc]
            crystal = crystal_from_ase(atoms)
        except InvalidStructureError as error:
            yield Found(Failure.of(error), str(number))
            continue
        notes = (*content.encoding_notes, *notes)
        yield Found(crystal, str(number), notes, targets=_targets(atoms))


def _targets(atoms: Atoms) -> dict[str, float]:
    """The numbers of a frame's comment; an energy is the cell's, in eV, as ASE has it."""
    results = atoms.calc.results if atoms.calc is not None else {}
    given = {**atoms.info, **{name: results[name] for name in _RESULTS if name in results}}
    found = {
        str(name): float(value)
        for name, value in given.items()
        if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    }
    return with_ase_names(found, len(atoms))


def _frames(text: str) -> Iterator[str]:
    """Each frame, a number of atoms, a comment and as many lines."""
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        if not lines[position].strip():
            position += 1
            continue
        head = lines[position].strip()
        if not head.isdecimal() or len(head) > 9:
            raise UnreadableFileError(
                f"line {position + 1} should be the number of atoms of a frame: {head[:40]!r}"
            )
        total = int(head)
        if total > len(lines) - position - 2:
            raise UnreadableFileError(
                f"line {position + 1} announces {total} sites and {len(lines) - position - 2} "
                "lines follow"
            )
        if total > LARGEST_CELL:
            raise LimitError(f"a frame has {total:,} atoms, the largest cell {LARGEST_CELL:,}")
        yield "\n".join(lines[position : position + total + 2]) + "\n"
        position += total + 2
    if not any(line.strip() for line in lines):
        raise NoStructureError("the file is empty")


def _check_columns(frame: str) -> None:
    """Refuse a frame whose comment announces columns without end: ASE makes a list of them all."""
    comment = frame.split("\n", 2)[1]
    counts = _COLUMNS.findall(comment)
    if any(len(count) > 5 for count in counts) or sum(map(int, counts)) > _MOST_COLUMNS:
        raise LimitError(f"its comment announces more than {_MOST_COLUMNS:,} columns")


def by_pymatgen(form: str, check: Check, also: str | None = None) -> Reader:
    """A reader by pymatgen's ``Structure.from_str``, compared with ASE's where it has one.

    ``check`` raises where it would pass something over.
    """

    def read(content: Content) -> Iterator[Found]:
        text = _bounded(content)
        check(text)
        crystal, notes = _quietly(lambda: _pymatgen(text, form))
        if also is not None:
            crystal, more = compared(crystal, "ASE", lambda: _ase(text, also))
            notes += more
        yield Found(crystal, notes=(*content.encoding_notes, *notes))

    return read


def by_ase(form: str, check: Check = lambda text: None) -> Reader:
    """A reader by ``ase.io.read`` of one format; ``check`` as in `by_pymatgen`."""

    def read(content: Content) -> Iterator[Found]:
        text = _bounded(content)
        check(text)
        crystal, notes = _quietly(lambda: _ase(text, form))
        yield Found(crystal, notes=(*content.encoding_notes, *notes))

    return read


def _bounded(content: Content) -> str:
    if len(content.text) > _LONGEST_TEXT:
        raise LimitError(f"it has {len(content.text):,} characters, more than a structure needs")
    return content.text


def _quietly(read: Callable[[], _Read]) -> tuple[_Read, tuple[str, ...]]:
    """A library's reading, with its warnings as notes and its exceptions in words."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = read()
        except InvalidStructureError:
            raise
        except KeyError as error:
            name = str(error.args[0])[:20] if error.args else ""
            if not _LIKE_A_SYMBOL.match(name):
                raise UnreadableFileError(
                    f"it breaks the rules of its format (KeyError: {name!r})"
                ) from error
            raise UnknownElementError(f"it names {name!r}, no element") from error
        except Exception as error:  # the parsers raise anything, from KeyError to AssertionError
            reason = " ".join(str(error).split())[:160]
            raise UnreadableFileError(
                f"it breaks the rules of its format ({type(error).__name__}: {reason})"
            ) from error
    messages = dict.fromkeys(
        " ".join(str(one.message).split())[:200]
        for one in warned
        if not issubclass(one.category, DeprecationWarning | FutureWarning)
    )
    return result, tuple(f"library: {message}" for message in messages)


def _pymatgen(text: str, form: str) -> Crystal:
    from pymatgen.core import Structure

    return crystal_from_pymatgen(Structure.from_str(text, fmt=form))  # type: ignore[arg-type]


def _ase(text: str, form: str) -> Crystal:
    return crystal_from_ase(_ase_atoms(text, form))


def _ase_atoms(text: str, form: str) -> Atoms:
    from ase.io import read
    from ase.io.aims import read_aims

    # ASE's own dispatch opens this format by a path alone.
    return read_aims(StringIO(text)) if form == "aims" else read(StringIO(text), format=form)
