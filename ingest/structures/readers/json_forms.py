"""Reads structures in JSON by hand, from plain data: pymatgen's, ASE's, JARVIS's, OPTIMADE's forms.

Nothing is imported or built by a name that stands in the file. Known are a structure, a document
that holds one (Materials Project, ComputedStructureEntry, …), lists of them, an answer of an
OPTIMADE server, and ASE's data base.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from featurestore.messages import storable
from ingest.structures.jarvis import crystal_from_jarvis
from ingest.structures.readers.ase_form import ase_targets, from_ase
from ingest.structures.readers.base import Content, Found, parse_json
from ingest.structures.readers.in_words import in_words
from ingest.structures.readers.json_statements import compared_with_document
from ingest.structures.readers.json_values import IDS, numbers_of
from ingest.structures.readers.optimade_form import is_entry, is_header, read_entry
from ingest.structures.readers.pymatgen_form import from_pymatgen
from ingest.structures.refusals import (
    InvalidStructureError,
    NoStructureError,
    UnreadableFileError,
)


def recognises_json(head: str) -> bool:
    """Whether a text without a telling name is JSON with a lattice in it."""
    return head.lstrip()[:1] in ("{", "[") and '"lattice' in head


def read_json(content: Content) -> Iterator[Found]:
    """The structures of a JSON document, of a list or of JSON lines.

    Raises
    ------
    UnreadableFileError
        If it is no JSON.
    NoStructureError
        If no structure is in it.
    """
    document = parse_json(content.text)
    found = list(_documents(document, content.nearest_order))
    if not found:
        raise NoStructureError(f"the JSON holds no structure: it is {_described(document)}")
    yield from found


def read_json_lines(content: Content) -> Iterator[Found]:
    """The structures of a file with one JSON document a line."""
    some = False
    for number, line in enumerate(content.text.splitlines(), start=1):
        if not line.strip():
            continue
        some = True
        try:
            document = parse_json(line)
            found = list(_documents(document, content.nearest_order))
            if not found and is_header(document):
                continue
            if not found:
                raise NoStructureError("the JSON of this line holds no structure")
        except InvalidStructureError as error:
            found = [Found(Failure.of(error))]
        for one in found:
            block = f"line {number}{', ' + one.block if one.block else ''}"
            yield replace(one, block=block)
    if not some:
        raise NoStructureError("the file is empty")


def _documents(document: Any, nearest_order: bool) -> Iterator[Found]:
    if isinstance(document, list):
        yield from _of_list(document, nearest_order)
    elif isinstance(document, dict):
        one = of_document(document, nearest_order)
        if one is not None:
            yield one
        elif isinstance(document.get("ids"), list):
            for key in document["ids"]:
                yield _attempt(document.get(str(key)), str(key), nearest_order)
        else:
            # by their ids, or a table's column of structures by its rows
            column = document.get("structure")
            for entries in (document, column if isinstance(column, dict) else {}):
                for key, value in entries.items():
                    if _holds_structure(value):
                        yield _attempt(value, key, nearest_order)
                    elif isinstance(value, list):
                        yield from _of_list(value, nearest_order)


def _of_list(documents: list[Any], nearest_order: bool) -> Iterator[Found]:
    """All of a list, if any of it is a structure: an entry that is none is a failure."""
    if any(map(_holds_structure, documents)):
        for number, entry in enumerate(documents, start=1):
            yield _attempt(entry, str(number), nearest_order)


def _attempt(document: Any, block: str, nearest_order: bool) -> Found:
    try:
        one = of_document(document, nearest_order) if isinstance(document, dict) else None
        if one is None:
            raise NoStructureError(f"entry {block} holds no structure")
    except InvalidStructureError as error:
        return Found(Failure.of(error), block, material_id=_id_of(document))
    return replace(one, block=block)


def _holds_structure(document: Any) -> bool:
    return isinstance(document, dict) and (
        _is_structure(document)
        or is_entry(document)
        or _is_structure(document.get("structure"))
        or _is_structure(document.get("atoms"))
    )


def _is_structure(document: Any) -> bool:
    return isinstance(document, dict) and (
        ("lattice" in document and "sites" in document)
        or "lattice_mat" in document
        or ("positions" in document and ("numbers" in document or "symbols" in document))
    )


def of_document(document: Mapping[str, Any], nearest_order: bool) -> Found | None:
    """The structure that a document is, or that it holds; None if neither.

    Raises
    ------
    InvalidStructureError
        If it is none that can be used, whatever stands in it.
    """
    try:
        return _of_document(document, nearest_order)
    except InvalidStructureError:
        raise
    except Exception as error:  # values that nobody thought of, on which NumPy raises anything
        raise UnreadableFileError(f"it breaks the rules of its form: {in_words(error)}") from error


def _of_document(document: Mapping[str, Any], nearest_order: bool) -> Found | None:
    """The structure that a document is, or that it holds; None if neither."""
    if is_entry(document):
        return replace(read_entry(document, nearest_order), material_id=_id_of(document))
    if _is_structure(document):
        crystal, notes = _crystal(document, nearest_order)
        targets = ase_targets(document, crystal.n_atoms) if "positions" in document else {}
        return Found(crystal, notes=notes, targets=targets, material_id=_id_of(document))
    for key in ("structure", "atoms"):
        if _is_structure(document.get(key)):
            crystal, notes = _crystal(document[key], nearest_order)
            notes += compared_with_document(document, crystal, notes)
            return Found(
                crystal, notes=notes, targets=numbers_of(document), material_id=_id_of(document)
            )
    return None


def _crystal(document: Mapping[str, Any], nearest_order: bool) -> tuple[Crystal, tuple[str, ...]]:
    if "lattice_mat" in document:
        return crystal_from_jarvis(document), ()
    if "positions" in document:
        return from_ase(document), ()
    return from_pymatgen(document, nearest_order)


def _id_of(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    for key in IDS:
        value = document.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return storable(str(value))
    return ""


def _described(document: Any) -> str:
    if isinstance(document, dict):
        return f"an object with the keys {sorted(map(str, document))[:8]}"
    if isinstance(document, list):
        return f"a list of {len(document)} entries, none of which is a structure"
    kinds = {str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(document), "a number")
