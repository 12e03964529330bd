"""Entries of an OPTIMADE database as material records, each with where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from featurestore.failure import Failure
from featurestore.output.terminal import one_line
from ingest.providers.optimade.databases import Database
from ingest.providers.optimade.pages import Page
from ingest.structures.readers.json_forms import of_document
from ingest.structures.readers.optimade_form import is_entry
from ingest.structures.records import MaterialRecord
from ingest.structures.refusals import InvalidStructureError, UnreadableFileError

_LONGEST_ID = 200


def page_records(
    page: Page,
    database: Database,
    columns: Mapping[str, str],
    nearest_order: bool = False,
) -> Iterator[MaterialRecord]:
    """One record for each entry of a page; whatever is wrong with one is its `Failure`.

    Parameters
    ----------
    columns : mapping of str to str
        The property that each field of the provider's is taken as.
    """
    for number, entry in enumerate(page.entries):
        yield _record(entry, page.place.entries + number, database, columns, nearest_order)


def _record(
    entry: Any,
    position: int,
    database: Database,
    columns: Mapping[str, str],
    nearest_order: bool,
) -> MaterialRecord:
    nameless = f"{database.name}[{position}]"
    try:
        name = _id(entry, database.name)
    except UnreadableFileError as error:
        return MaterialRecord(nameless, Failure.of(error), source_file=database.url)
    source = f"{database.url}/v1/structures/{quote(str(entry['id']), safe='')}"
    try:
        if not is_entry(entry):
            raise UnreadableFileError("it is no entry of structures with attributes")
        found = of_document(entry, nearest_order)
        assert found is not None  # an entry is a structure, or is refused
    except InvalidStructureError as error:
        return MaterialRecord(name, Failure.of(error), source_file=source)
    attributes = entry["attributes"]
    changed = attributes.get("last_modified")
    if isinstance(changed, str) and 0 < len(changed) < 40 and one_line(changed) == changed:
        source = f"{source}#last_modified={quote(changed, safe=':+')}"
    return MaterialRecord(
        material_id=f"{name}~ordered" if found.notes else name,
        structure=found.structure,
        targets={prop: attributes.get(column) for column, prop in columns.items()},
        source_file=source,
        notes=found.notes,
        space_group=found.space_group,
    )


def _id(entry: Any, database: str) -> str:
    """``mp-149`` of ``mp-149`` or ``149`` of ``mp``."""
    given = entry.get("id") if isinstance(entry, dict) else None
    if type(given) is int:
        given = str(given)
    if not isinstance(given, str) or not given.strip():
        raise UnreadableFileError("the entry has no id")
    if len(given) > _LONGEST_ID or one_line(given) != given:
        raise UnreadableFileError(
            f"its id {one_line(given)[:40]!r} holds control characters, or more than {_LONGEST_ID}"
        )
    return given if given.startswith(f"{database}-") else f"{database}-{given}"
