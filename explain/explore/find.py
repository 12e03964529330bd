"""Finding materials: a page of those that are looked for, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from explain.explore.finding import COLUMNS, Finding
from explain.explore.reading import Reading, conditions, read
from explain.explore.sessions import Source
from featurestore.catalogue import find_generator, generators
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.query.conditions import named_properties, property_sources
from featurestore.query.paging import count_materials, materials_page, rows_of_materials
from featurestore.quoting import identifier
from featurestore.search.hits import Among, Hits, HoldsWords
from featurestore.session import Session

#: Rows on a page.
PAGE = 50
#: Materials that a search by words ranks.
MOST_BY_WORDS = 1000


@dataclass(frozen=True)
class Found:
    """A page of what was found.

    Parameters
    ----------
    reading : Reading
        How the box was read.
    asked : str or None
        All that was asked, as one SQL condition.
    total : int
        Materials found.
    rows : pyarrow.Table
        Those on the page.
    notes : tuple of str
        What a reader should know.
    texts : tuple of str
        Where words can be looked for: where they were, and the store's other generators of texts.
    """

    reading: Reading
    asked: str | None
    total: int
    rows: pa.Table
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def find(source: Source, finding: Finding, first: int | None = None, most: int = PAGE) -> Found:
    """The materials that are looked for, from ``first`` on; by default those of the page.

    Raises
    ------
    InvalidInputError, UnknownNameError, MissingDataError, QueryError
        If what is asked cannot be read or answered.
    """
    session = source.session
    begin = (finding.page - 1) * PAGE if first is None else first
    reading = read(source, finding)
    condition = conditions(finding, reading)
    if reading.kind == "words":
        return _by_words(source, finding, reading, condition, begin, most)
    total = count_materials(session, condition)
    name = finding.sort.removeprefix("-") or "material_id"
    rows = materials_page(
        session,
        condition,
        _shown(source, finding, reading),
        sort=name,
        descending=finding.sort.startswith("-"),
        first=begin,
        most=most,
    )
    return Found(reading, condition, total, rows)


def _by_words(
    source: Source, finding: Finding, reading: Reading, where: str | None, first: int, most: int
) -> Found:
    session, hits = source.session, hits_of_words(source, finding, where)
    ids = hits.table["material_id"].to_pylist()
    scores = hits.table["score"].slice(first, most)
    rows = rows_of_materials(session, ids[first : first + most], _shown(source, finding, reading))
    notes = [note for note in hits.notes if note.partition(",")[0] not in ids]
    if len(ids) == MOST_BY_WORDS:
        notes.append(f"the best {MOST_BY_WORDS:,} are listed")
    rows = rows.append_column("score", scores)
    return Found(reading, where, len(ids), rows, tuple(notes), _texts(source, finding))


def hits_of_words(source: Source, finding: Finding, where: str | None) -> Hits:
    """The materials whose texts hold the words that were typed, the best first.

    Raises
    ------
    MissingDataError
        If the store has no texts.
    InvalidInputError, UnknownNameError, QueryError
        If what is asked cannot be read or answered.
    """
    session = source.session
    generator = find_generator(session, _texts(source, finding)[0])
    question = HoldsWords(finding.text, generator)
    return source.store.search.find(session, [question], Among(k=MOST_BY_WORDS, where=where))


def _texts(source: Source, finding: Finding) -> tuple[str, ...]:
    known = [one.generator_id for one in generators(source.session)]
    if not known:
        raise MissingDataError(
            f"{finding.text!r} is no id, formula or element, and the store has no texts to look "
            "for words in"
        )
    name = known[0]
    if finding.text_source:
        name = find_generator(source.session, finding.text_source).generator_id
    return (name, *(one for one in known if one != name))


def _shown(source: Source, finding: Finding, reading: Reading) -> tuple[str, ...]:
    """The columns that are shown, the id first: the chosen ones, else also those asked about."""
    if finding.columns:
        return ("material_id", *(one for one in finding.columns if one != "material_id"))
    session = source.session
    asked = [one[0] for one in finding.ranges] + [one[0] for one in finding.classes]
    if reading.kind == "sql":
        asked += named_properties(session, [finding.text])
    asked += [finding.sort.removeprefix("-")] if finding.sort else []
    if finding.histogram is not None and _has_one_source(session, finding.histogram):
        asked.append(finding.histogram)
    return tuple(dict.fromkeys(("material_id", *COLUMNS, *asked)))


def _has_one_source(session: Session, name: str) -> bool:
    try:
        return name in property_sources(session, [identifier(name)])
    except InvalidInputError:
        return False
