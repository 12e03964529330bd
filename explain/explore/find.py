"""Finding materials: what was typed is read as an id, a formula, elements, words or SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from explain.explore.elements import ELEMENTS
from explain.explore.sessions import Source
from featurestore.catalogue import find_generator, generators
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.query.conditions import as_condition
from featurestore.query.paging import count_materials, materials_page, rows_of_materials
from featurestore.quoting import SQL, identifier, literal, quoted
from featurestore.search.hits import Among, HoldsWords
from featurestore.session import QueryError

#: What the box can be read as.
READINGS = ("auto", "id", "formula", "system", "elements", "words", "sql")
#: Rows on a page.
PAGE = 50
#: Materials that a search by words ranks.
MOST_BY_WORDS = 1000
COLUMNS = ("formula", "space_group", "crystal_system", "n_atoms")
OTHER_COLUMNS = (
    *("structure_id", "dataset", "prototype", "volume", "space_group_number", "point_group"),
    *("chemsys", "source_file"),
)
_WRITTEN = {
    "formula": "SELECT formula(?) AS written",
    "chemsys": "SELECT chemsys(?) AS written",
}

_SQL = re.compile(r"[<>=]|\b(like|ilike|between|in|is|not|and|or)\b", re.IGNORECASE)
_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*|[()]\d*)+")


@dataclass(frozen=True)
class Finding:
    """What is looked for, as an address says it.

    Parameters
    ----------
    text, read_as : str
        What the box holds, and one of `READINGS`.
    text_source : str or None
        Whose texts words are looked for in; None: the first.
    systems, elements, without : tuple of str
        Crystal systems, elements that must be in the formula, and that must not.
    ranges : tuple of (str, float or None, float or None)
        Properties with their least and greatest value.
    classes : tuple of (str, str)
        Properties of classes, each with the class.
    columns : tuple of str
        What is shown beside the id.
    sort : str
        A column, with a minus before it for the largest first; empty for the id, or the rank.
    page : int
        From 1.
    histogram : str or None
        The property whose values are shown as a histogram.
    """

    text: str = ""
    read_as: str = "auto"
    text_source: str | None = None
    systems: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()
    classes: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    sort: str = ""
    page: int = 1
    histogram: str | None = None

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Finding:
        """What the pairs of an address's query ask for.

        Raises
        ------
        InvalidInputError
            If one of them cannot be read.
        """
        one = {name: value for name, value in pairs if value}
        many = lambda name: tuple(dict.fromkeys(v for n, v in pairs if n == name and v))  # noqa: E731
        read_as = one.get("as", "auto")
        if read_as not in READINGS:
            raise InvalidInputError(f"'as' is one of {', '.join(READINGS)}, not {read_as!r}")
        elements, without = many("element"), many("without")
        for name in (*elements, *without):
            if name not in ELEMENTS:
                raise InvalidInputError(f"{name!r} is not an element")
        ranges = {r[0]: r for r in map(_range, many("range"))}
        least, most, of = one.get("low"), one.get("high"), one.get("of")
        if of is not None and (least is not None or most is not None):
            ranges[of] = (of, _number(least), _number(most))
        page = one.get("page", "1")
        if not page.isdecimal() or not 1 <= int(page) <= 10**9:
            raise InvalidInputError(f"a page is a number from 1, not {page!r}")
        return cls(
            text=one.get("q", "").strip(),
            read_as=read_as,
            text_source=one.get("text"),
            systems=many("system"),
            elements=elements,
            without=without,
            ranges=tuple(ranges.values()),
            classes=tuple(_class(value) for value in many("class")),
            columns=many("col"),
            sort=one.get("sort", ""),
            page=int(page),
            histogram=of or one.get("histogram"),
        )

    def query(self, **changes: Any) -> str:
        """The query of the address of this, with changes; a change begins at page 1 again."""
        if changes and "page" not in changes:
            changes["page"] = 1
        f = replace(self, **changes)
        pairs: list[tuple[str, Any]] = [("q", f.text)] if f.text else []
        if f.read_as != "auto":
            pairs.append(("as", f.read_as))
        pairs += [("text", f.text_source)] if f.text_source else []
        pairs += [("system", one) for one in f.systems]
        pairs += [("element", one) for one in f.elements]
        pairs += [("without", one) for one in f.without]
        pairs += [("range", written_range(one)) for one in f.ranges]
        pairs += [("class", f"{name}:{value}") for name, value in f.classes]
        pairs += [("col", one) for one in f.columns]
        pairs += [("sort", f.sort)] if f.sort else []
        pairs += [("histogram", f.histogram)] if f.histogram else []
        pairs += [("page", f.page)] if f.page > 1 else []
        return urlencode(pairs)

    @property
    def has_sql(self) -> bool:
        """Whether SQL that somebody typed takes part."""
        if self.read_as == "sql":
            return bool(self.text)
        return self.read_as == "auto" and _looks_like_sql(self.text)

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns that are shown, the id first."""
        return tuple(dict.fromkeys(("material_id", *(self.columns or COLUMNS))))


@dataclass(frozen=True)
class Reading:
    """How the box was read.

    Parameters
    ----------
    kind : str
        One of `READINGS` but "auto"; empty where nothing was typed.
    said : str
        In words.
    condition : SQL or None
        Of the materials meant; None for words.
    """

    kind: str
    said: str
    condition: SQL | None = None


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
    """

    reading: Reading
    asked: str | None
    total: int
    rows: pa.Table
    notes: tuple[str, ...] = ()


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
        finding.shown,
        sort=name,
        descending=finding.sort.startswith("-"),
        first=begin,
        most=most,
    )
    return Found(reading, condition, total, rows)


def _by_words(
    source: Source, finding: Finding, reading: Reading, where: str | None, first: int, most: int
) -> Found:
    session = source.session
    known = generators(session)
    if not known:
        raise MissingDataError(
            f"{finding.text!r} is no id, formula or element, and the store has no texts to look "
            "for words in"
        )
    name = finding.text_source or known[0].generator_id
    question = HoldsWords(finding.text, find_generator(session, name))
    hits = source.store.search.find(session, [question], Among(k=MOST_BY_WORDS, where=where))
    ids = hits.table["material_id"].to_pylist()
    scores = hits.table["score"].slice(first, most)
    rows = rows_of_materials(session, ids[first : first + most], finding.shown)
    notes = [note for note in hits.notes if note.partition(",")[0] not in ids]
    if len(ids) == MOST_BY_WORDS:
        notes.append(f"the best {MOST_BY_WORDS:,} are listed")
    return Found(reading, where, len(ids), rows.append_column("score", scores), tuple(notes))


def read(source: Source, finding: Finding) -> Reading:
    """How the box is read.

    Raises
    ------
    InvalidInputError
        If it cannot be read as it is to be.
    """
    text, kind = finding.text, finding.read_as
    if not text:
        return Reading("", "")
    if kind == "auto":
        kind = _kind(source, text)
    if kind == "sql":
        return Reading("sql", "an SQL condition", as_condition(text))
    if kind == "elements":
        names = _elements(text)
        if not names:
            raise InvalidInputError(f"{text!r} names no elements; write them as: Li Fe O")
        return Reading("elements", "elements: " + ", ".join(names), _holding(names))
    if kind == "system":
        system = _chemical_system(source, "chemsys", text)
        return Reading(
            "system", f"the chemical system {system}", SQL(f"chemsys = {quoted(system)}")
        )
    if kind == "formula":
        formula = _chemical_system(source, "formula", text)
        return Reading("formula", f"the formula {formula}", SQL(f"formula = {quoted(formula)}"))
    if kind == "id":
        return Reading(
            "id",
            "part of an id",
            SQL(f"contains(lower(material_id), lower({quoted(text)}))"),
        )
    return Reading("words", "words of the texts")


def _kind(source: Source, text: str) -> str:
    if _looks_like_sql(text):
        return "sql"
    exact = "SELECT 1 FROM materials WHERE material_id = ? LIMIT 1"
    if source.session.query(exact, [text]).num_rows:
        return "id"
    if "-" in text and _elements(text.replace("-", " ")) and " " not in text:
        return "system"
    if _elements(text):
        return "elements"
    if _FORMULA.fullmatch(text) and any(c.isdigit() or c.isupper() for c in text[1:]):
        try:
            _chemical_system(source, "formula", text)
            return "formula"
        except InvalidInputError:
            pass
    if " " not in text:
        within = "SELECT 1 FROM materials WHERE contains(lower(material_id), lower(?)) LIMIT 1"
        if source.session.query(within, [text]).num_rows:
            return "id"
    return "words"


def _looks_like_sql(text: str) -> bool:
    """Whether it holds a comparison; "and" alone does not make a condition of words."""
    found = {match[0].lower() for match in _SQL.finditer(text)}
    return bool(found - {"and", "or", "not", "in", "is"}) or bool(
        re.search(r"\bin\s*\(|\bis\s+(not\s+)?null\b", text, re.IGNORECASE)
    )


def _elements(text: str) -> list[str]:
    names = re.split(r"[\s,;]+", text.strip())
    return names if all(name in ELEMENTS for name in names) else []


def _holding(names: Sequence[str]) -> SQL:
    return SQL(" AND ".join(f"list_contains(elements, {quoted(name)})" for name in names))


def _chemical_system(source: Source, macro: str, text: str) -> str:
    """A formula or chemical system as the store writes it."""
    try:
        rows = source.session.query(_WRITTEN[macro], [text])
    except QueryError as error:
        raise InvalidInputError(f"{text!r} cannot be read as a {macro}: {error}") from error
    return str(rows["written"][0].as_py())


def conditions(finding: Finding, reading: Reading, leave_out: str = "") -> str | None:
    """All that is asked as one SQL condition; without one facet, for the counts of that facet."""
    parts = [reading.condition] if reading.condition is not None else []
    if finding.systems and leave_out != "systems":
        among = ", ".join(map(quoted, finding.systems))
        parts.append(SQL(f"crystal_system IN ({among})"))
    if finding.elements:
        parts.append(_holding(finding.elements))
    parts += [SQL(f"NOT list_contains(elements, {quoted(one)})") for one in finding.without]
    for name, low, high in finding.ranges:
        if leave_out == f"range {name}":
            continue
        parts += [SQL(f"{identifier(name)} >= {literal(low)}")] if low is not None else []
        parts += [SQL(f"{identifier(name)} <= {literal(high)}")] if high is not None else []
    for name, value in finding.classes:
        if leave_out != f"range {name}":
            parts.append(SQL(f"{identifier(name)} = {quoted(value)}"))
    return " AND ".join(parts) or None


def written_range(given: tuple[str, float | None, float | None]) -> str:
    """A range as an address has it: NAME:LEAST:GREATEST, either end may be empty."""
    name, low, high = given
    ends = ["" if end is None else repr(end) for end in (low, high)]
    return ":".join([name, *ends])


def _range(text: str) -> tuple[str, float | None, float | None]:
    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not parts[0]:
        raise InvalidInputError(f"a range is NAME:LEAST:GREATEST, not {text!r}")
    return parts[0], _number(parts[1]), _number(parts[2])


def _class(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if not separator or not name:
        raise InvalidInputError(f"a class is NAME:CLASS, not {text!r}")
    return name, value


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace("−", "-"))
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise InvalidInputError(f"{text!r} is not a number")
    return value
