"""Reads CIF and magnetic CIF: every data block that holds a structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.structures.checks import check_structure, density
from ingest.structures.elements import atomic_mass
from ingest.structures.expansion import Expanded, expand
from ingest.structures.places import Place
from ingest.structures.readers.base import Content, Found
from ingest.structures.readers.cif_blocks import Block, blocks, number
from ingest.structures.readers.cif_by_pymatgen import read_by_pymatgen
from ingest.structures.readers.cif_sites import read_sites
from ingest.structures.readers.cif_symmetry import Symmetries, symmetries
from ingest.structures.refusals import (
    CompositionError,
    InvalidStructureError,
    NoStructureError,
    OverlapError,
    SymmetryError,
    UnreadableFileError,
)
from ingest.structures.second_reading import compared
from ingest.structures.stated import Verdict, compare, parse_formula

_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_MODULATED = (
    "_space_group_ssg_",
    "_space_group_symop_ssg_",
    "_cell_wave_vector",
    "_atom_site_fourier",
    "_atom_site_displace",
    "_atom_site_occ_fourier",
)
_SAME_VOLUME = 0.01  # relative
_SAME_WEIGHT = 0.01  # relative
_SAME_DENSITY = 0.05  # relative; the file's cell may be of another temperature


@dataclass(frozen=True)
class _Statement:
    """What a block says of its cell."""

    formula: Mapping[str, float] | None
    z: int | None
    notes: tuple[str, ...]

    def agrees(self, crystal: Crystal) -> bool:
        """Whether a cell has the stated formula and Z."""
        verdict = compare(crystal.species, self.formula, self.z)
        return not verdict.formula and not verdict.units


def recognises_cif(head: str) -> bool:
    """Whether a text is a CIF of a crystal."""
    lowered = head.lower()
    return "data_" in lowered and "_cell_length_a" in lowered.replace(".", "_")


def read_cif(content: Content) -> Iterator[Found]:
    """The structures of a CIF's data blocks; those without any (publications, powder) are passed.

    Raises
    ------
    UnreadableFileError
        If the blocks cannot be told.
    NoStructureError
        If none holds a structure.
    """
    holding = [block for block in blocks(content) if block.holds_sites]
    if not holding:
        raise NoStructureError(
            "none of its data blocks has a cell and a loop of atom sites with coordinates"
        )
    for block in holding:
        try:
            yield _of_block(block, content)
        except InvalidStructureError as error:
            yield Found(Failure.of(error), block.name)


def _of_block(block: Block, content: Content) -> Found:
    if block.unreadable:
        raise UnreadableFileError(block.unreadable)
    if any(tag.startswith(_MODULATED) for tag in block.tags) or (
        number(block.value("_cell_modulation_dimension")) or 0
    ):
        raise SymmetryError(
            "a modulated structure: its atoms repeat in more than three dimensions; take a "
            "commensurate approximant"
        )
    lattice, notes = _lattice(block)
    stated = _stated(block)
    sites = read_sites(block, lattice, stated.formula)
    if stated.formula is None and sites.doubt is not None:
        raise sites.doubt
    symmetry = symmetries(block, lattice)
    cell, verdict, chosen = _decided(sites.places, symmetry, lattice, stated, content.nearest_order)
    crystal: Crystal = cell.crystal
    all_notes = [
        *content.encoding_notes,
        *block.notes,
        *notes,
        *stated.notes,
        *sites.notes,
        *chosen,
        *cell.notes,
    ]
    if cell.ordered:
        all_notes += [f"ordered: {verdict.formula}"] if verdict.formula else []
    else:
        if block.notes and not stated.formula:
            raise UnreadableFileError(
                f"{block.notes[0].removeprefix('syntax: ')}, and no formula says if it is right"
            )
        crystal, differing = compared(
            cell.crystal,
            "pymatgen",
            lambda: read_by_pymatgen(block, symmetry.derived),
            stated.agrees,
        )
        all_notes += differing
        if not _is_heavy(all_notes):
            all_notes += _density(block, crystal)
            all_notes += _weight(block, crystal) if stated.formula is None else []
        all_notes += _other_formulas(block, crystal) if stated.formula is None else []
    return Found(crystal, block.name, tuple(dict.fromkeys(all_notes)), space_group=symmetry.number)


def _lattice(block: Block) -> tuple[npt.NDArray[np.float64], list[str]]:
    from pymatgen.core import Lattice

    lengths = [number(block.value(tag)) for tag in _LENGTHS]
    angles = [number(block.value(tag)) for tag in _ANGLES]
    notes = []
    for tag, value in zip(_LENGTHS, lengths, strict=True):
        if value is None or not 0 < value < 1e4:
            raise UnreadableFileError(_not_given(block, tag, "length"))
    if angles == [None] * 3 and not any(tag in block.items for tag in _ANGLES):
        angles = [90.0] * 3
        notes.append("cell: no angles are given, each is 90° as the CIF dictionary says")
    for tag, value in zip(_ANGLES, angles, strict=True):
        if value is None or not 0 < value < 180:
            raise UnreadableFileError(_not_given(block, tag, "angle"))
    lattice = np.array(Lattice.from_parameters(*lengths, *angles).matrix, dtype=float)
    if not np.isfinite(lattice).all():
        raise UnreadableFileError(f"no cell has the angles {angles}")
    volume, own = number(block.value("_cell_volume")), float(abs(np.linalg.det(lattice)))
    if volume and abs(volume - own) > _SAME_VOLUME * own:
        notes.append(
            f"cell: the file says its volume is {volume:g} Å³, its edges and angles make {own:.4g}"
        )
    return lattice, notes


def _density(block: Block, crystal: Crystal) -> list[str]:
    stated, own = number(block.value("_exptl_crystal_density_diffrn")), density(crystal)
    if not stated or abs(stated - own) <= _SAME_DENSITY * own:
        return []
    return [f"density: the file says {stated:g} g/cm³, its atoms make {own:.4g}"]


def _weight(block: Block, crystal: Crystal) -> list[str]:
    """A note if no whole number of formula units has the weight that the file states."""
    stated = number(block.value("_chemical_formula_weight"))
    mass = sum(map(atomic_mass, crystal.species))
    units = max(round(mass / stated), 1) if stated else 0
    if not stated or abs(mass - units * stated) <= _SAME_WEIGHT * mass:
        return []
    return [f"formula: the file says that a unit weighs {stated:g}, the atoms of a cell {mass:.5g}"]


def _other_formulas(block: Block, crystal: Crystal) -> list[str]:
    """Notes where the formula of the moieties or the structural one has other atoms."""
    notes = []
    for tag in ("_chemical_formula_moiety", "_chemical_formula_structural"):
        written = block.value(tag) or ""
        verdict = compare(crystal.species, parse_formula(written.replace(",", " ")), None)
        if verdict.formula:
            notes.append(f"formula: {tag}: {verdict.formula}")
    return notes


def _is_heavy(notes: Sequence[str]) -> bool:
    """Whether deuterium or tritium weighs more than the hydrogen as which it is stored."""
    return any(note.startswith("isotope:") for note in notes)


def _not_given(block: Block, tag: str, what: str) -> str:
    value = block.value(tag)
    return f"it has no {tag}" if value is None else f"its {tag} is no {what}: {value[:40]!r}"


def _stated(block: Block) -> _Statement:
    written = block.value("_chemical_formula_sum")
    formula = parse_formula(written)
    notes = []
    if written and formula is None:
        notes.append(f"formula: {written[:60]!r} is not understood and not compared with the sites")
    z = number(block.value("_cell_formula_units_z"))
    return _Statement(formula, int(z) if z and z == int(z) and z > 0 else None, tuple(notes))


def _decided(
    listed: list[Place],
    symmetry: Symmetries,
    lattice: npt.NDArray[np.float64],
    stated: _Statement,
    nearest_order: bool,
) -> tuple[Expanded, Verdict, list[str]]:
    """The expansion by the one choice of operations that agrees with what the file states."""
    good: list[tuple[Expanded, Verdict, list[str], str]] = []
    reasons: list[InvalidStructureError] = []
    for candidate in symmetry.candidates:
        try:
            cell = expand(listed, candidate.operations, lattice, nearest_order)
            verdict = compare(cell.crystal.species, stated.formula, stated.z)
            good.append((cell, verdict, _judged(cell, verdict, symmetry, stated), candidate.name))
        except InvalidStructureError as error:
            reasons.append(error)
    if not good:
        raise reasons[0]
    if len(good) > 1:
        names = " or ".join(name for *_, name in good)
        raise SymmetryError(
            f"{symmetry.named} leaves open which origin is meant ({names}), and both give a "
            "possible crystal of the stated composition; add the operations or the choice"
        )
    cell, verdict, notes, name = good[0]
    if len(symmetry.candidates) > 1:
        notes.insert(0, f"symmetry: {name} is taken, the other is impossible: {reasons[0]}")
    return cell, verdict, [*symmetry.notes, *notes]


def _judged(
    cell: Expanded, verdict: Verdict, symmetry: Symmetries, stated: _Statement
) -> list[str]:
    """Notes on an expansion.

    Raises
    ------
    InvalidStructureError
        If it is not what the file states, or no crystal.
    """
    if verdict.formula and not cell.ordered:
        raise CompositionError(verdict.formula)
    check_structure(cell.crystal)
    if cell.repeats and not stated.formula:
        raise OverlapError(
            "sites are listed that are symmetry images of others, and no formula says if they "
            "are to be there once"
        )
    if symmetry.unsure and not verdict.confirmed:
        raise SymmetryError(
            f"{symmetry.unsure}, and the file gives no formula with Z that would tell if its "
            "sites are right"
        )
    notes = [f"symmetry: {symmetry.unsure}; formula and Z agree"] if symmetry.unsure else []
    if verdict.units:
        if symmetry.derived and not cell.ordered:
            raise CompositionError(f"{verdict.units}; the setting of its space group may be wrong")
        notes.append(f"formula units: {verdict.units}")
    if cell.multiplicities:
        wrong = "; ".join(cell.multiplicities[:4])
        if symmetry.derived and not verdict.confirmed:
            raise SymmetryError(f"multiplicities that the file states are others: {wrong}")
        notes.append(f"multiplicities: the file states others: {wrong}")
    return notes
