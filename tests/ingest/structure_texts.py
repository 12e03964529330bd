"""Made-up structure files as texts, for the tests of their readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.structures.files import read_structure_file
from ingest.structures.records import MaterialRecord

COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")


def cif(
    *sites: str,
    cell: Sequence[float] = (4.0, 4.0, 4.0, 90, 90, 90),
    symbol: str | None = "P m -3 m",
    more: str = "",
    operations: Sequence[str] = (),
    columns: Sequence[str] = COLUMNS,
    name: str = "x",
) -> str:
    """A CIF with one block; ``more`` stands before the sites."""
    lengths = zip(("length_a", "length_b", "length_c"), cell[:3], strict=True)
    angles = zip(("angle_alpha", "angle_beta", "angle_gamma"), cell[3:], strict=True)
    lines = [f"data_{name}"]
    lines += [f"_cell_{tag} {value}" for tag, value in (*lengths, *angles)]
    if symbol is not None:
        lines.append(f"_symmetry_space_group_name_H-M '{symbol}'")
    lines.append(more)
    if operations:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{one}'" for one in operations)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns), *sites]
    return "\n".join(lines) + "\n"


ROCK_SALT = ("Na1 Na 0 0 0 1", "Cl1 Cl 0.5 0.5 0.5 1")
CUBE = (5.64, 5.64, 5.64, 90, 90, 90)


def rock_salt(**changes: object) -> str:
    """NaCl, by its symbol alone unless changed."""
    return cif(*ROCK_SALT, **{"cell": CUBE, "symbol": "F m -3 m"} | changes)  # type: ignore[arg-type]


def poscar(
    comment: str = "a comment",
    scale: str = "1.0",
    lattice: str = "4 0 0\n0 4 0\n0 0 4",
    species: str | None = "Cs Cl",
    counts: str = "1 1",
    mode: str = "Direct",
    sites: str = "0 0 0\n0.5 0.5 0.5",
) -> str:
    """A POSCAR of caesium chloride, unless changed; ``species`` None is the form of VASP 4."""
    middle = [species] if species is not None else []
    return "\n".join([comment, scale, lattice, *middle, counts, mode, sites]) + "\n"


def records(folder: Path, name: str, text: str | bytes, **options: bool) -> list[MaterialRecord]:
    """What is read from a file with this text."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_structure_file(path, **options)


def stored(folder: Path, name: str, text: str | bytes, **options: bool) -> MaterialRecord:
    """The one material of the file, which is read."""
    [record] = records(folder, name, text, **options)
    assert isinstance(record.structure, Crystal), record.structure
    return record


def refused(folder: Path, name: str, text: str | bytes, **options: bool) -> Failure:
    """Why the one material of the file is not read; its message names the file."""
    [record] = records(folder, name, text, **options)
    assert isinstance(record.structure, Failure), record.structure.species
    assert record.structure.message.startswith(name)
    return record.structure


def counts(record: MaterialRecord) -> dict[str, int]:
    """Atoms of each element."""
    assert isinstance(record.structure, Crystal)
    species = record.structure.species
    return {symbol: species.count(symbol) for symbol in sorted(set(species))}


def said(record: MaterialRecord) -> str:
    """All notes in one text."""
    return "; ".join(record.notes)
