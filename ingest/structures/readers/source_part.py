"""What a package declares about a reader of structure files, under ``featurestore.sources``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.plugins import Part, Request
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.opening import COMPRESSIONS, LARGEST_FILE, unpacked, without_compression
from ingest.structures.readers.base import Content, Found, Reader
from ingest.structures.refusals import LimitError, NoStructureError, UnreadableFileError


def _itself(request: Request) -> Part:
    return request.part


@dataclass(frozen=True, kw_only=True)
class SourcePart(Part):
    """A reader of one format. It has no state and no settings: ``make`` gives the part itself.

    Parameters
    ----------
    read : callable
        From a `Content` to what is in the file, one `Found` a structure. What it raises is the
        failure of this one file; `InvalidStructureError` and its kinds say it in their words.
    suffixes : tuple of str
        Suffixes in lower case, with their dots, that mean this format.
    names : tuple of str
        Beginnings of file names, in lower case, that mean this format without a suffix.
    recognises : callable, optional
        Whether the beginning of a text (some 64,000 characters, bytes as Latin-1) is of this
        format, for files whose name says nothing. By default only a name tells.
    shared_suffixes : tuple of str
        Suffixes that other files have as well: they tell no format, and are no part of an id.

    Raises
    ------
    InvalidInputError
        If it could recognise no file, a suffix is no suffix, or there are settings.
    """

    read: Reader
    suffixes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    recognises: Callable[[str], bool] | None = None
    shared_suffixes: tuple[str, ...] = ()
    make: Callable[[Request], Any] = field(default=_itself, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        what = f"the structure reader {self.name!r}"
        if self.settings:
            raise InvalidInputError(f"{what} has settings, and no command could give them to it")
        if not (self.suffixes or self.names or self.recognises):
            raise InvalidInputError(
                f"{what} recognises no file: it needs suffixes, names or a function recognises"
            )
        for suffix in (*self.suffixes, *self.shared_suffixes):
            if suffix[:1] != "." or suffix != suffix.lower() or suffix.endswith(COMPRESSIONS):
                raise InvalidInputError(
                    f"{what} has the suffix {suffix!r}: write it with its dot, in lower case and "
                    "without that of a compression"
                )
        for name in self.names:
            if not name or name != name.lower():
                raise InvalidInputError(f"{what} has the name {name!r}: write it in lower case")

    def found(self, name: str, data: bytes, nearest_order: bool = False) -> list[Found]:
        """What is in a file.

        Parameters
        ----------
        name : str
            Of the file.
        data : bytes
            The whole of it, as it is or compressed.
        nearest_order : bool
            As in `Content`.

        Raises
        ------
        LimitError
            If it unpacks to more than is read, or the reader finds more than so large a file
            could list.
        UnreadableFileError
            If it is empty or its compression damaged, or the reader gives what is no `Found`.
        NoStructureError
            If the reader finds nothing and does not say why.
        Exception
            Whatever the reader raises.
        """
        plain = unpacked(data)
        if not plain.strip():
            raise UnreadableFileError("the file is empty")
        found: list[Found] = []
        size = 0
        for one in self.read(Content(without_compression(name), plain, nearest_order)):
            wrong = _what_is_wrong(one)
            if wrong:
                raise UnreadableFileError(f"its reader is at fault: it gives {wrong}")
            found.append(_bounded(one))
            size += _size(found[-1])
            if size > LARGEST_FILE:
                raise LimitError(
                    f"its reader finds {len(found):,} structures and more in it, of more than "
                    f"{LARGEST_FILE:,} bytes"
                )
        if not found:
            raise NoStructureError("its reader finds no structure in it")
        return found


def _bounded(one: Found) -> Found:
    """The same, or a failure where the cell is larger than any that is analysed."""
    structure = one.structure
    if isinstance(structure, Crystal) and structure.n_atoms > LARGEST_CELL:
        error = LimitError(
            f"the cell has {structure.n_atoms:,} atoms, the largest {LARGEST_CELL:,}"
        )
        return Found(Failure.of(error), one.block, material_id=one.material_id)
    return one


def _size(one: Found) -> int:
    """Bytes that it takes, some for each atom, text and target."""
    texts = (*one.notes, one.block, one.material_id, *one.targets)
    values = sum(len(value) for value in one.targets.values() if isinstance(value, str))
    atoms = one.structure.n_atoms if isinstance(one.structure, Crystal) else 1
    return 16 * (atoms + len(texts)) + sum(map(len, texts)) + values


def _what_is_wrong(one: object) -> str:
    """Why it cannot be handed on, in words; empty if it can. Whether it is sound comes later."""
    if not isinstance(one, Found):
        return f"a {type(one).__name__}, no Found"
    structure = one.structure
    if isinstance(structure, Crystal):
        for name, array in (("lattice", structure.lattice), ("frac_coords", structure.frac_coords)):
            if not isinstance(array, np.ndarray) or array.dtype != np.float64:
                return f"a crystal whose {name} is no array of float64"
        if not _is_texts(structure.species):
            return "a crystal whose species are no tuple of str"
    elif not isinstance(structure, Failure):
        return f"a structure of class {type(structure).__name__}, no Crystal and no Failure"
    if not _is_texts(one.notes) or not _is_texts((one.block, one.material_id)):
        return "notes, a block or a material_id that are no text"
    if not isinstance(one.targets, Mapping) or not _is_texts(tuple(one.targets)):
        return "targets that are no mapping by name"
    for name, value in one.targets.items():
        if not isinstance(value, Real | str | Failure | None):
            return f"the target {name!r} as a {type(value).__name__}, no number, text or Failure"
    if one.space_group is not None and type(one.space_group) is not int:
        return "a space group that is no number"
    return ""


def _is_texts(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(one, str) for one in values)
