"""Reads one structure file of any format into material records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from featurestore.failure import Failure
from featurestore.messages import storable
from ingest.structures.composition import reduced_formula
from ingest.structures.ids import why_no_id
from ingest.structures.opening import head_of, read_head, read_whole, shown
from ingest.structures.readers.base import Found
from ingest.structures.readers.registry import reader_of, stem_of
from ingest.structures.readers.vasp_results import RunFile, run_beside, targets_beside
from ingest.structures.records import MaterialRecord, NotAStructure
from ingest.structures.refusals import InvalidStructureError, LimitError


@dataclass(frozen=True)
class Unit:
    """A file, or a member of an archive, that is read in one go.

    Parameters
    ----------
    source : str
        Its path, as it is shown.
    material_id : str
        The id of its material, or what those of several begin with; empty if the user's rule
        finds none.
    path : Path, optional
        Where it lies.
    data : bytes, optional
        What is in it, for a member of an archive.
    cut : bool
        Whether ``data`` is the beginning alone.
    beside : RunFile, optional
        The run beside it in its archive.
    refused : Failure, optional
        Why it is not read at all.
    by_formula : bool
        Whether its materials are named by their formulas.
    nearest_order : bool
        Whether disordered sites are ordered.
    """

    source: str
    material_id: str
    path: Path | None = None
    data: bytes | None = None
    cut: bool = False
    beside: RunFile | None = None
    refused: Failure | None = None
    by_formula: bool = False
    nearest_order: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.source.rpartition("/")[2]


def read_structure_file(path: Path, nearest_order: bool = False) -> list[MaterialRecord]:
    """The structures in one file, named by its stem; a file of several adds their numbers.

    A file that cannot be read is one record with a `Failure`.
    """
    name = shown(path.name)
    return read_unit(Unit(name, stem_of(name), path, nearest_order=nearest_order))


def read_unit(unit: Unit) -> list[MaterialRecord]:
    """The materials of a file; whatever is wrong with it is a record with a `Failure`."""
    try:
        found = [Found(unit.refused)] if unit.refused is not None else _found(unit)
    except InvalidStructureError as error:
        found = [Found(Failure.of(error))]
    return [_with_run(unit, record) for record in _named(unit, found)]


def _with_run(unit: Unit, record: MaterialRecord) -> MaterialRecord:
    """A CONTCAR with the energy and the like of the run it lies beside."""
    structure = record.structure
    if isinstance(structure, Failure):
        return record
    run = run_beside(unit.path) if unit.path is not None else unit.beside
    if run is None:
        return record
    return replace(
        record,
        targets=targets_beside(run, unit.name, structure.species, structure.volume),
    )


def _found(unit: Unit) -> list[Found]:
    path, data = unit.path, unit.data or b""
    reader = reader_of(unit.name, lambda: head_of(data) if path is None else read_head(path))
    if reader is None:
        return [Found(NotAStructure("NotAStructure", "of no format for structures"))]
    if unit.cut:
        raise LimitError(
            f"of a member whose name tells no format {len(data):,} bytes are unpacked, and it has "
            f"more; it looks like a file for {reader.part.name!r}: unpack the archive, or give the "
            "member a suffix"
        )
    data = data if path is None else read_whole(path)
    return reader.found(unit.name, data, unit.nearest_order)


def _named(unit: Unit, found: Sequence[Found]) -> list[MaterialRecord]:
    several = len(found) > 1
    # what holds no structure needs no id of its own
    holding = [one for one in found if not isinstance(one.structure, Failure)] or found
    by_document = several and all(one.material_id for one in holding)
    first: dict[str, int] = {}
    records = []
    for number, one in enumerate(found, start=1):
        structure = one.structure
        name = unit.material_id or unit.source
        if several:
            named = by_document and one.material_id and not why_no_id(one.material_id)
            name = one.material_id if named else f"{name}/{number}"
        if isinstance(structure, Failure):
            if not isinstance(structure, NotAStructure):
                block = f", block {one.block}" if several or one.block else ""
                structure = replace(structure, message=f"{unit.source}{block}: {structure.message}")
        elif by_document and (reason := why_no_id(one.material_id)):
            structure = Failure("NoIdError", f"{unit.source}, block {one.block}: its id {reason}")
        elif by_document and first.setdefault(name, number) != number:
            structure = Failure(
                "ConflictError",
                f"{unit.source}, block {one.block}: its id {name!r} is that of structure "
                f"{first[name]} of the file as well; give each an id of its own",
            )
            name = f"{unit.material_id or unit.source}/{number}"
        elif not unit.material_id:
            structure = Failure("NoIdError", f"{unit.source}: the pattern finds no id in its path")
        elif unit.by_formula:
            name = reduced_formula(structure.species)
        notes = one.notes
        if any(note.startswith("ordered:") for note in notes):
            name = f"{name}~ordered"
        records.append(
            MaterialRecord(
                material_id=storable(name),
                structure=structure,
                targets=one.targets,
                source_file=unit.source,
                notes=tuple(map(storable, notes)),
                space_group=one.space_group,
            )
        )
    return records
