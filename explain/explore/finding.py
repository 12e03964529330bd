"""What is looked for, as an address says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from explain.explore.elements import ELEMENTS
from featurestore.errors import InvalidInputError

#: What the box can be read as.
READINGS = ("auto", "id", "formula", "system", "elements", "words", "sql")
COLUMNS = ("formula", "space_group", "crystal_system", "n_atoms")
OTHER_COLUMNS = (
    *("structure_id", "dataset", "prototype", "volume", "space_group_number", "point_group"),
    *("chemsys", "source_file"),
)

_SQL = re.compile(r"[<>=]|\b(like|ilike|between|in|is|not|and|or)\b", re.IGNORECASE)


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
        What is shown beside the id; none: `COLUMNS` and what is asked about.
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
        return self.read_as == "auto" and looks_like_sql(self.text)


def looks_like_sql(text: str) -> bool:
    """Whether it holds a comparison; "and" alone does not make a condition of words."""
    found = {match[0].lower() for match in _SQL.finditer(text)}
    return bool(found - {"and", "or", "not", "in", "is"}) or bool(
        re.search(r"\bin\s*\(|\bis\s+(not\s+)?null\b", text, re.IGNORECASE)
    )


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
