"""Extended XYZ, by ASE: frame by frame, so that one that is broken leaves the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurestore.failure import Failure
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.elements import BY_NUMBER
from ingest.structures.readers.ase_form import with_ase_names
from ingest.structures.readers.base import Content, Found
from ingest.structures.readers.by_libraries import ase_atoms, crystal_from_ase, quietly
from ingest.structures.refusals import (
    InvalidStructureError,
    LimitError,
    NoStructureError,
    UnreadableFileError,
)

if TYPE_CHECKING:
    from ase import Atoms

_RESULTS = ("energy", "magmom")
_MOST_COLUMNS = 10_000
_PROPERTIES = re.compile(r"\bProperties\s*=\s*[\"']?([^\s\"']+)")
_LATTICE = re.compile(r"\bLattice\s*=\s*\"([^\"]*)")
_PLAIN = "species:S:1:pos:R:3"


def read_extended_xyz(content: Content) -> Iterator[Found]:
    """The frames of an (extended) XYZ file; those without a lattice are failures."""
    text, encoding_notes = content.in_plain_signs()
    for number, (line, frame) in enumerate(_frames(text), start=1):
        _, comment, *rows = frame.splitlines()
        try:
            _check_lattice(comment, line + 1)
            columns = _Columns.of(comment, line + 1)
            for place, row in enumerate(rows, start=line + 2):
                columns.check(row, place)
            try:
                atoms, notes = quietly(lambda frame=frame: ase_atoms(frame, "extxyz"))  # type: ignore[misc]
            except UnreadableFileError as error:
                why = columns.no_number(rows, line + 2)
                raise (UnreadableFileError(why) if why else error) from error
            crystal = crystal_from_ase(atoms)
        except InvalidStructureError as error:
            yield Found(Failure.of(error), str(number))
            continue
        notes = (*encoding_notes, *notes)
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


def _frames(text: str) -> Iterator[tuple[int, str]]:
    """Each frame, a number of atoms, a comment and as many lines, and the number of its first."""
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
        yield position + 1, "\n".join(lines[position : position + total + 2]) + "\n"
        position += total + 2
    if not any(line.strip() for line in lines):
        raise NoStructureError("the file is empty")


def _check_lattice(comment: str, line: int) -> None:
    found = _LATTICE.search(comment)
    if found and (len(found[1].split()) != 9 or not all(map(_is_number, found[1].split()))):
        raise UnreadableFileError(
            f"the Lattice in line {line} is not nine numbers in quotes: {found[1][:60]!r}"
        )


@dataclass(frozen=True)
class _Columns:
    """The columns of a frame, ``name, kind`` one a field, and whether its comment states them."""

    fields: tuple[tuple[str, str], ...]
    stated: bool

    @classmethod
    def of(cls, comment: str, line: int) -> _Columns:
        """Those of a comment, which is a line of the file.

        Raises
        ------
        UnreadableFileError
            If they are none, or without positions or elements.
        LimitError
            If they are without end: ASE makes a list of them all.
        """
        stated = _PROPERTIES.search(comment)
        parts = (stated[1] if stated else _PLAIN).split(":")
        if len(parts) % 3 or not all(map(str.isdecimal, parts[2::3])):
            raise UnreadableFileError(
                f"line {line} announces columns that are not name:kind:number: {':'.join(parts)!r}"
            )
        if any(len(part) > 5 for part in parts[2::3]) or (
            sum(map(int, parts[2::3])) > _MOST_COLUMNS
        ):
            raise LimitError(f"its comment announces more than {_MOST_COLUMNS:,} columns")
        triples = tuple(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
        if ("pos", "R", "3") not in triples:
            raise UnreadableFileError(f"line {line} announces no positions (pos:R:3)")
        if not {("species", "S", "1"), ("Z", "I", "1")} & set(triples):
            raise UnreadableFileError(f"line {line} announces no elements (species:S:1 or Z:I:1)")
        fields = tuple((name, kind) for name, kind, number in triples for _ in range(int(number)))
        return cls(fields, stated is not None)

    def check(self, row: str, line: int) -> None:
        """Refuse a row of another number of fields, or of two elements: ASE passes both over.

        Raises
        ------
        UnreadableFileError
            Naming the line.
        """
        values = row.split()
        if len(values) < len(self.fields) or (self.stated and len(values) > len(self.fields)):
            names = ", ".join(dict.fromkeys(name for name, _ in self.fields))
            raise UnreadableFileError(
                f"line {line} has {len(values)} fields, its columns ({names}) are "
                f"{len(self.fields)}"
            )
        of = {name: value for (name, _), value in zip(self.fields, values, strict=False)}
        if "Z" in of and of.get("species", "").capitalize() not in ("", _symbol(of["Z"])):
            raise UnreadableFileError(
                f"line {line} is {of['species'][:20]!r} and has the atomic number {of['Z'][:20]!r}"
            )

    def no_number(self, rows: Iterable[str], first: int) -> str:
        """The first field of the rows that should be a number and is none, in words."""
        for line, row in enumerate(rows, start=first):
            for (name, kind), value in zip(self.fields, row.split(), strict=False):
                if kind in "RI" and not _is_number(value, whole=kind == "I"):
                    return f"line {line} has {value[:20]!r} where a number is due ({name})"
        return ""


def _symbol(number: str) -> str:
    return BY_NUMBER[int(number) - 1] if number.isdecimal() and 0 < int(number) < 119 else ""


def _is_number(text: str, whole: bool = False) -> bool:
    try:
        int(text) if whole else float(text)
    except ValueError:
        return False
    return True
