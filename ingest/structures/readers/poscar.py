"""Reads POSCAR, CONTCAR and what begins like them (CHGCAR, LOCPOT): VASP 4, 5 and 6 forms."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from ingest.structures.checks import LARGEST_CELL
from ingest.structures.elements import ELEMENTS, ISOTOPES
from ingest.structures.places import first_of
from ingest.structures.readers.base import Content, Found
from ingest.structures.readers.poscar_comment import POTENTIAL, of_comment
from ingest.structures.refusals import (
    CompositionError,
    LimitError,
    NoStructureError,
    UnknownElementError,
    UnreadableFileError,
)
from ingest.structures.second_reading import compared, crystal_from_pymatgen

_LOOSE = re.compile(r"([A-Za-z]{1,2})\d*(?:[_/.+-].*)?$")
_WHOLE = re.compile(r"\d+$")
_CONFIGURATION = re.compile(r"\s*direct configuration\s*=", re.IGNORECASE)


def recognises_poscar(head: str) -> bool:
    """Whether a text has a scale, three vectors and counts where a POSCAR has them."""
    lines = head.splitlines()[:12]
    if len(lines) < 8:
        return False
    scale = _floats(lines[1])
    if len(scale) not in (1, 3) or len(lines[1].split()) != len(scale):
        return False
    if not all(len(_floats(line)) == 3 for line in lines[2:5]):
        return False
    return any(fields and all(map(_WHOLE.match, fields)) for fields in map(str.split, lines[5:8]))


def read_poscar(content: Content) -> Iterator[Found]:
    """The one structure of the file.

    Where the file has no line of species (VASP 4), they are taken from the symbols behind the
    coordinates or from the comment line if they fit the counts, with a note; else it is refused.

    Raises
    ------
    InvalidStructureError
        Naming the line that is wrong.
    """
    text, encoding_notes = content.in_plain_signs()
    lines = text.splitlines()
    if len(lines) < 8:
        raise UnreadableFileError(
            f"it has {len(lines)} lines; a POSCAR has at least 8: comment, scale, three vectors, "
            "species, counts, mode, positions"
        )
    lattice, scale = _lattice(lines)
    symbols, counts, position = _species_lines(lines)
    if symbols is not None and len(symbols) != len(counts):
        raise UnreadableFileError(
            f"it names {len(symbols)} species ({' '.join(symbols)[:60]}) and counts {len(counts)}"
        )
    total = sum(counts)
    if total > len(lines):
        raise UnreadableFileError(f"the file announces {total} sites and has {len(lines)} lines")
    if total > LARGEST_CELL:
        raise LimitError(
            f"the cell has {total:,} atoms, the largest that is analysed {LARGEST_CELL:,}"
        )
    position, cartesian, notes = _mode(lines, position)
    rows = [line.split() for line in lines[position : position + total]]
    coords = _positions(rows, total, position)
    _check_no_more(lines[position + total :], total)
    if any(map(_CONFIGURATION.match, lines[position + total :])):
        raise NoStructureError(
            "it is a trajectory (XDATCAR) of several configurations; take the CONTCAR of the run, "
            "or write the one that is meant as a POSCAR"
        )
    written = _written_symbols(rows)
    if symbols is None:
        species, note = _without_species(lines[0], counts, written)
        notes.append(note)
    else:
        species, more = _with_species(symbols, counts)
        notes += more
        if written is not None and written != species:
            raise CompositionError(
                f"the species line makes {_counted(species)} of its sites, the symbols behind the "
                f"coordinates {_counted(written)}"
            )
    if cartesian:
        coords = (coords * scale) @ np.linalg.inv(lattice)
    if "D" in species or "T" in species:
        species = [ISOTOPES.get(symbol, symbol) for symbol in species]
        notes.append("isotope: D or T is stored as H")
    crystal = Crystal(lattice, tuple(species), coords)
    if symbols is not None:
        crystal, differing = compared(crystal, "pymatgen", lambda: _by_pymatgen(text))
        notes += differing
    yield Found(crystal, notes=(*encoding_notes, *notes))


def _lattice(
    lines: Sequence[str],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The lattice in Å, and the factor for Cartesian coordinates, one an axis."""
    factors = _floats(lines[1])
    if not factors or len(factors) == 2:
        raise UnreadableFileError(f"line 2 is no scale (one number, or three): {lines[1][:40]!r}")
    factors = factors[:3] if len(factors) >= 3 else factors[:1]
    vectors = [_floats(line)[:3] for line in lines[2:5]]
    for number, vector in enumerate(vectors, start=3):
        if len(vector) != 3:
            raise UnreadableFileError(
                f"line {number} is no lattice vector of three numbers: {lines[number - 1][:60]!r}"
            )
    lattice = np.array(vectors, dtype=float)
    volume = abs(np.linalg.det(lattice))
    if not np.isfinite(volume) or volume < 1e-12:
        raise UnreadableFileError("its three lattice vectors span no volume")
    if len(factors) == 3:
        if min(factors) <= 0:
            raise UnreadableFileError(f"of three scales none may be negative: {lines[1][:40]!r}")
        scale = np.array(factors)
    elif factors[0] == 0:
        raise UnreadableFileError("the scale in line 2 is 0")
    else:
        # a negative scale is the volume
        one = factors[0] if factors[0] > 0 else (-factors[0] / volume) ** (1 / 3)
        scale = np.full(3, one)
    return lattice * scale, scale


def _species_lines(lines: Sequence[str]) -> tuple[list[str] | None, list[int], int]:
    """Symbols (None if there are none), counts, and the number of the line behind them."""
    position = 5
    symbols: list[str] = []
    while position < len(lines) and not _is_counts(lines[position]):
        fields = _without_comment(lines[position]).split()
        if not fields or position > 40:
            raise UnreadableFileError(f"line {position + 1} should list species or their counts")
        symbols += fields
        position += 1
    counts: list[int] = []
    while position < len(lines) and _is_counts(lines[position]):
        fields = [field for field in lines[position].split() if _WHOLE.match(field)]
        if any(len(field) > 18 for field in fields):
            raise UnreadableFileError(f"line {position + 1} has counts of atoms beyond reason")
        counts += map(int, fields)
        position += 1
        if not symbols or len(counts) >= len(symbols):
            break
    if not counts or not sum(counts):
        raise UnreadableFileError(
            f"behind the lattice no line counts the atoms of each species: {lines[5][:60]!r}"
        )
    return symbols or None, counts, position


def _is_counts(line: str) -> bool:
    fields = _without_comment(line).split()
    return bool(fields) and all(map(_WHOLE.match, fields))


def _without_comment(line: str) -> str:
    return line.partition("!")[0].partition("#")[0]


def _mode(lines: Sequence[str], position: int) -> tuple[int, bool, list[str]]:
    """The number of the first line of coordinates, whether they are Cartesian, and notes."""
    word = lines[position].strip().lower() if position < len(lines) else ""
    if word.startswith("s"):
        position += 1
        word = lines[position].strip().lower() if position < len(lines) else ""
    if word[:1] in ("c", "k"):
        return position + 1, True, []
    if word[:1] == "d":
        return position + 1, False, []
    if not word or len(_floats(word)) >= 3:
        raise UnreadableFileError(
            f"line {position + 1} should say Direct or Cartesian: {word[:40]!r}"
        )
    # VASP takes all other words so.
    return position + 1, False, [f"mode: {word[:20]!r} is read as direct, as VASP does"]


def _positions(rows: Sequence[Sequence[str]], total: int, first: int) -> npt.NDArray[np.float64]:
    if len(rows) < total:
        raise UnreadableFileError(f"it announces {total} sites and has lines for {len(rows)}")
    coords = []
    for number, row in enumerate(rows):
        values = _floats(" ".join(row[:3]))
        if len(values) != 3:
            raise UnreadableFileError(
                f"it announces {total} sites; line {first + number + 1}, of site {number + 1}, has "
                f"no three coordinates: {' '.join(row)[:60]!r}"
            )
        coords.append(values)
    return np.array(coords, dtype=float).reshape(-1, 3)


def _check_no_more(rest: Sequence[str], total: int) -> None:
    """Refuse positions beyond the counts; velocities come behind an empty line or a word."""
    if rest and len(rest[0].split()) >= 3 and len(_floats(" ".join(rest[0].split()[:3]))) == 3:
        raise UnreadableFileError(f"it announces {total} sites and lists more")


def _written_symbols(rows: Sequence[Sequence[str]]) -> list[str] | None:
    """The element behind each line of coordinates; None unless every line has one."""
    found = []
    for row in rows:
        rest = [field for field in row[3:] if field.upper() not in ("T", "F", ".TRUE.", ".FALSE.")]
        if "F" in row[3:] and len(row) == 4:
            rest = ["F"]  # fluorine: flags come in threes
        match = POTENTIAL.match(rest[0]) if rest else None
        if match is None or match[1] not in ELEMENTS | ISOTOPES.keys():
            return None
        found.append(match[1])
    return found


def _with_species(symbols: Sequence[str], counts: Sequence[int]) -> tuple[list[str], list[str]]:
    species: list[str] = []
    notes = []
    for written, count in zip(symbols, counts, strict=True):
        match = POTENTIAL.match(written)
        symbol = match[1] if match else ""
        if symbol not in ELEMENTS and symbol not in ISOTOPES:
            loose = _LOOSE.match(written)
            symbol = loose[1].capitalize() if loose else ""
            if symbol not in ELEMENTS:
                raise UnknownElementError(f"the species line names {written[:20]!r}, no element")
            notes.append(f"species: {written!r} is read as {symbol}")
        species += [symbol] * count
    return species, notes


def _without_species(
    comment: str, counts: Sequence[int], written: Sequence[str] | None
) -> tuple[list[str], str]:
    if written is not None:
        runs = [written[sum(counts[:n]) : sum(counts[: n + 1])] for n in range(len(counts))]
        if all(len(set(run)) <= 1 for run in runs):
            return list(written), (
                "species: the file has no line of species; they are the symbols behind the "
                "coordinates"
            )
    symbols = of_comment(comment, counts)
    if symbols is None:
        raise UnknownElementError(
            "the file has no line of species (VASP 4 form) and its comment names none that fit "
            f"the counts {' '.join(map(str, counts))[:60]}; add a line of species above the "
            "counts, in the order of the run's POTCAR"
        )
    return [symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)], (
        f"species: the file has no line of species; {first_of(symbols)} are those of its comment"
    )


def _by_pymatgen(text: str) -> Crystal:
    from pymatgen.io.vasp.inputs import Poscar

    return crystal_from_pymatgen(Poscar.from_str(text).structure)


def _counted(species: Sequence[str]) -> str:
    return " ".join(f"{symbol}{species.count(symbol)}" for symbol in dict.fromkeys(species))


def _floats(line: str) -> list[float]:
    """The numbers at the beginning of a line, Fortran's ``1.0D0`` included."""
    values = []
    for field in line.split():
        try:
            value = float(field.replace("d", "e").replace("D", "E"))
        except ValueError:
            break
        if not math.isfinite(value):
            break
        values.append(value)
    return values
