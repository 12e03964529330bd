"""Formats that pymatgen and ASE read: CSSR, RES, XSF, CFG, FHI-aims; extended XYZ apart."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from featurestore.crystal import Crystal
from ingest.structures.readers.base import Content, Found, Reader
from ingest.structures.readers.in_words import in_words
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

_BROKEN = "it breaks the rules of its format"
_NO_SYMBOL = re.compile(r"Can't parse Element or Species from (.+)")
_EXPONENT = re.compile(r"(?<=\s)[+-]?\d*\.?\d+[eE][+-]?\d{1,2}(?=\s)")
_LIKE_A_SYMBOL = re.compile(r"[A-Z][A-Za-z]?[\d+-]*$")
_LONGEST_TEXT = 32 << 20  # characters; a cell of the largest size has some 1 MB


def crystal_from_ase(atoms: Atoms) -> Crystal:
    """ASE atoms that are periodic in all three directions.

    Raises
    ------
    NoStructureError
        If they are not, or have no cell.
    """
    if not all(atoms.pbc) or atoms.cell.rank < 3:
        raise NoStructureError("it is not periodic in three directions")
    return Crystal(
        np.array(atoms.cell, dtype=np.float64),
        tuple(atoms.get_chemical_symbols()),
        np.array(atoms.get_scaled_positions(wrap=False), dtype=np.float64),
    )


def by_pymatgen(form: str, check: Check, also: str | None = None) -> Reader:
    """A reader by pymatgen's ``Structure.from_str``, compared with ASE's where it has one.

    ``check`` raises where it would pass something over.
    """

    def read(content: Content) -> Iterator[Found]:
        text, encoding_notes = _bounded(content)
        check(text)
        crystal, notes = quietly(lambda: _pymatgen(text, form))
        if also is not None:
            crystal, more = compared(crystal, "ASE", lambda: _ase(text, also))
            notes += more
        yield Found(crystal, notes=(*encoding_notes, *notes))

    return read


def by_ase(form: str, check: Check = lambda text: None) -> Reader:
    """A reader by ``ase.io.read`` of one format; ``check`` as in `by_pymatgen`."""

    def read(content: Content) -> Iterator[Found]:
        text, encoding_notes = _bounded(content)
        check(text)
        crystal, notes = quietly(lambda: _ase(text, form))
        yield Found(crystal, notes=(*encoding_notes, *notes))

    return read


def _bounded(content: Content) -> tuple[str, tuple[str, ...]]:
    if len(content.text) > _LONGEST_TEXT:
        raise LimitError(f"it has {len(content.text):,} characters, more than a structure needs")
    return content.in_plain_signs()


def quietly(read: Callable[[], _Read]) -> tuple[_Read, tuple[str, ...]]:
    """A library's reading, with its warnings as notes.

    Raises
    ------
    InvalidStructureError
        In words, where the library raises anything.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = read()
        except InvalidStructureError:
            raise
        except KeyError as error:
            name = str(error.args[0])[:20] if error.args else ""
            if _LIKE_A_SYMBOL.match(name):
                raise UnknownElementError(f"it names {name!r}, no element") from error
            raise UnreadableFileError(f"{_BROKEN}: {in_words(error)}") from error
        except Exception as error:  # the parsers raise anything, from KeyError to AssertionError
            symbol = _NO_SYMBOL.search(str(error))
            if symbol is not None:
                raise UnknownElementError(f"it names {symbol[1][:20]}, no element") from error
            raise UnreadableFileError(f"{_BROKEN}: {in_words(error)}") from error
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
    return crystal_from_ase(ase_atoms(text, form))


def ase_atoms(text: str, form: str) -> Atoms:
    """ASE's reading of a text.

    Raises
    ------
    Exception
        Whatever ASE raises.
    """
    from ase.io import read
    from ase.io.aims import read_aims
    from ase.io.res import Res

    # ASE's own dispatch opens these formats by a path alone.
    if form == "aims":
        return read_aims(StringIO(text))
    if form == "res":  # its pattern passes over sites with exponents
        return Res.from_string(_EXPONENT.sub(lambda one: f"{float(one[0]):.12f}", text)).atoms
    return read(StringIO(text), format=form)
