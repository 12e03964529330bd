"""What was typed: an id, a formula, elements, a chemical system, words or SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from explain.explore.elements import ELEMENTS
from explain.explore.finding import Finding, looks_like_sql
from explain.explore.sessions import Source
from featurestore.errors import InvalidInputError
from featurestore.query.conditions import as_condition
from featurestore.quoting import SQL, identifier, literal, quoted
from featurestore.session import QueryError

_WRITTEN = {
    "formula": "SELECT formula(?) AS written",
    "chemsys": "SELECT chemsys(?) AS written",
}
_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*|[()]\d*)+")


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
    if looks_like_sql(text):
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


def _elements(text: str) -> list[str]:
    names = re.split(r"[\s,;]+", text.strip())
    return names if all(name in ELEMENTS for name in names) else []


def _holding(names: Sequence[str]) -> SQL:
    return SQL(" AND ".join(_holds(name) for name in names))


def _holds(name: str) -> SQL:
    """The condition for an element: a tenth of what it costs to list a formula's elements."""
    return SQL(f"regexp_matches(formula_alphabetical, {quoted(name + '([^a-z]|$)')})")


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
    parts += [SQL(f"NOT ({_holds(one)})") for one in finding.without]
    for name, low, high in finding.ranges:
        if leave_out == f"range {name}":
            continue
        parts += [SQL(f"{identifier(name)} >= {literal(low)}")] if low is not None else []
        parts += [SQL(f"{identifier(name)} <= {literal(high)}")] if high is not None else []
    for name, value in finding.classes:
        if leave_out != f"range {name}":
            parts.append(SQL(f"{identifier(name)} = {quoted(value)}"))
    return " AND ".join(parts) or None
