"""What narrows a list of materials: crystal systems, elements and values, with their counts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from explain.explore.axes import robust_ends
from explain.explore.elements import ELEMENTS
from explain.explore.find import hits_of_words
from explain.explore.finding import Finding
from explain.explore.reading import Reading, conditions, read
from explain.explore.sessions import Source
from featurestore.classes import classes_of
from featurestore.errors import FeatureStoreError
from featurestore.query.conditions import ALL_MATERIALS, materials_where, select_materials
from featurestore.query.paging import THESE
from featurestore.quoting import SQL
from featurestore.session import Session

SYSTEMS = (
    *("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"),
)
_BARS = 30
_SYMBOL = re.compile("[A-Z][a-z]?")


@dataclass(frozen=True)
class Property:
    """A property of the store: how many values, and their unit; ``classes`` of one of classes."""

    name: str
    unit: str
    n: int
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """Counts of a property's values among the materials that are found.

    Parameters
    ----------
    property : Property
        Whose.
    n : int
        Materials that have a value.
    edges : tuple of float
        Of the bars, one more than these; the outer ones hold what lies beyond. None of classes.
    counts : tuple of int
        Of each bar, or class.
    below, above : int
        Values beyond the outer edges.
    problem : str
        Why there is none.
    """

    property: Property
    n: int = 0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    below: int = 0
    above: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Facets:
    """The counts beside a list.

    Parameters
    ----------
    systems, elements : dict of str to int
        Materials of each, the facet's own choice left out of the condition for systems.
    properties : tuple of Property
        All that the store has.
    histogram : Histogram or None
        Of the property that is looked at.
    """

    systems: dict[str, int]
    elements: dict[str, int]
    properties: tuple[Property, ...]
    histogram: Histogram | None


def stored_properties(session: Session) -> tuple[Property, ...]:
    """All properties by name."""
    rows = session.query(
        "SELECT property, count(DISTINCT material_id) AS n, min(unit) AS unit FROM properties "
        "GROUP BY property ORDER BY property"
    ).to_pylist()
    return tuple(
        Property(
            row["property"],
            "" if classes_of(row["unit"]) else row["unit"],
            row["n"],
            classes_of(row["unit"]),
        )
        for row in rows
    )


def facets(source: Source, finding: Finding) -> Facets:
    """The facets of what is looked for; raises as `find`."""
    session = source.session
    reading = read(source, finding)
    among = _Among(source, finding, reading)
    properties = stored_properties(session)
    chosen = next((one for one in properties if one.name == finding.histogram), None)
    return Facets(
        systems=among.systems(),
        elements=among.elements(),
        properties=properties,
        histogram=None if chosen is None else among.histogram(chosen),
    )


class _Among:
    """Counts among the materials of a finding."""

    def __init__(self, source: Source, finding: Finding, reading: Reading) -> None:
        self._source, self._session = source, source.session
        self._finding, self._reading = finding, reading

    def systems(self) -> dict[str, int]:
        """Materials of each crystal system, in the order of symmetry; the chosen one aside."""
        found = self._grouped(SQL("crystal_system"), "systems")
        known = {name: found.pop(name) for name in SYSTEMS if name in found}
        return known | found

    def elements(self) -> dict[str, int]:
        """Materials that hold each element."""
        found: Counter[str] = Counter()
        for formula, n in self._grouped(SQL("formula_alphabetical"), "").items():
            for symbol in set(_SYMBOL.findall(formula)):
                found[symbol] += n
        known = {name: found.pop(name) for name in ELEMENTS if name in found}
        return known | dict(found)

    def _grouped(self, what: SQL, leave_out: str) -> dict[str, int]:
        where, among, parameters = self._meant(leave_out)
        counted = SQL(f"{what} AS name, count(*) AS n")
        rows = select_materials(
            self._session,
            counted,
            where,
            then=SQL("GROUP BY ALL"),
            among=among,
            parameters=parameters,
        )
        return dict(zip(rows["name"].to_pylist(), rows["n"].to_pylist(), strict=True))

    def _meant(self, leave_out: str) -> tuple[str | None, SQL, list[list[str]]]:
        """The condition, what it chooses from, and the parameters of that."""
        where = conditions(self._finding, self._reading, leave_out)
        if self._reading.kind != "words":
            return where, ALL_MATERIALS, []
        hits = hits_of_words(self._source, self._finding, where)
        return None, THESE, [hits.table["material_id"].to_pylist()]

    def histogram(self, chosen: Property) -> Histogram:
        where, among, parameters = self._meant(f"range {chosen.name}")
        try:
            rows = materials_where(
                self._session, where, [chosen.name], among=among, parameters=parameters
            )
        except FeatureStoreError as error:
            # For example values of several sources, of which none is chosen.
            return Histogram(chosen, problem=str(error))
        values = rows[chosen.name].drop_null()
        if chosen.classes:
            counted = {row["values"]: row["counts"] for row in values.value_counts().to_pylist()}
            counts = tuple(counted.get(name, 0) for name in chosen.classes)
            return Histogram(chosen, len(values), counts=counts)
        numbers = values.to_numpy().astype(np.float64)
        if not len(numbers):
            return Histogram(chosen, problem="none of these materials has a value")
        low, high = robust_ends(numbers, 1.0)
        edges = np.linspace(low, high, _BARS + 1)
        counts_of, _ = np.histogram(np.clip(numbers, low, high), edges)
        return Histogram(
            chosen,
            len(numbers),
            tuple(float(f"{edge:.4g}") for edge in edges),
            tuple(map(int, counts_of)),
            int((numbers < low).sum()),
            int((numbers > high).sum()),
        )
