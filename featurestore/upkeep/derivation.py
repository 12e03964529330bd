"""Properties of classes that an SQL rule over stored properties gives, as in ``mbj_bandgap <= 0``.

The rule and the sources of what it reads stand in place of the values' source: values of two rules,
or of one rule over two sources, are those of two sources, which are never mixed in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.classes import BOOLEAN, category_unit, classes_of, place_of, shown_unit
from featurestore.errors import ConflictError, InvalidInputError, MissingDataError, UnknownNameError
from featurestore.query.conditions import (
    as_expression,
    properties_of_classes,
    property_sources,
    with_properties,
)
from featurestore.registry import check_property_name, load_registry
from featurestore.session import QueryError, Session
from featurestore.store import FeatureStore


@dataclass(frozen=True)
class Derived:
    """What came of a rule.

    Parameters
    ----------
    property, source, unit : str
        Of the values; the source says the rule.
    counts : dict of str to int
        Materials of each class, in the order of the classes.
    written, present : int
        Values that are new or replaced, and those that were there.
    without : int
        Materials for which the rule gives nothing.
    outdated : int
        Values that are stored, and that the rule does not give any more.
    """

    property: str
    source: str
    unit: str
    counts: dict[str, int]
    written: int
    present: int
    without: int
    outdated: int

    def notes(self) -> tuple[str, ...]:
        """What is to be known about the values."""
        found = []
        empty = [name for name, n in self.counts.items() if not n]
        if empty:
            found.append(f"no material is of the class {', '.join(map(repr, empty))}")
        if self.without:
            found.append(f"{self.without:,} materials have no value: the rule is null for them")
        if self.outdated:
            found.append(
                f"{self.outdated:,} stored values are of materials for which the rule gives none "
                "by now; they stand"
            )
        return tuple(found)


def derive(
    store: FeatureStore,
    name: str,
    expression: str,
    *,
    classes: Sequence[str] = (),
    property_source: str | None = None,
    replace: bool = False,
) -> Derived:
    """Store a property of classes that SQL gives for each material.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    name : str
        Of the property.
    expression : str
        SQL over the columns of ``materials`` and properties: true, false or null, or a text.
    classes : sequence of str
        The classes of a text, in order; by default those that the property has, else those that
        there are, sorted.
    property_source : str, optional
        Of the properties that it reads, where these come from several.
    replace : bool
        Whether values that the same rule gave otherwise before are replaced.

    Raises
    ------
    InvalidInputError
        If it is no expression, gives numbers, or another value each time; if the name cannot be
        used or is that of a property of numbers or other classes.
    UnknownNameError
        If it names neither a column nor a property, or gives a class that is not among ``classes``.
    MissingDataError
        If it gives nothing for all materials.
    ConflictError
        If the rule has given other values before, and ``replace`` is false; nothing is written.
    """
    check_property_name(name)
    with store.session() as session:
        sources = property_sources(session, [expression], property_source)
        if name in sources:
            raise InvalidInputError(f"the rule of {name!r} reads {name!r} itself")
        kind, rows = _values(session, expression, sources)
        unit = _unit(session, name, kind, rows, classes)
        total = session.query("SELECT count(*) AS n FROM materials")["n"][0].as_py()
        source = f"sql {' '.join(expression.split())}"
        if sources:
            source += f" ({', '.join(f'{one} from {of}' for one, of in sources.items())})"
        stored = session.query(
            "SELECT material_id, value FROM properties WHERE property = ? AND source = ?",
            [name, source],
        )
    names = rows["class"].to_pylist()
    place = {one: place_of(one, unit, name) for one in dict.fromkeys(names)}
    count = rows.num_rows
    values = pa.array([float(place[one]) for one in names], pa.float64())
    outdated = set(stored["material_id"].to_pylist()) - set(rows["material_id"].to_pylist())
    if not replace:
        _check_same(name, rows["material_id"], values, stored)
    arguments = {"property": name, "expression": expression, "sources": sources, "unit": unit}
    with store.run("properties derive", arguments) as run:
        table = pa.table(
            {
                "material_id": rows["material_id"],
                "property": pa.repeat(name, count),
                "source": pa.repeat(source, count),
                "value": values,
                "unit": pa.repeat(unit, count),
                "run_id": pa.repeat(run.run_id, count),
            }
        )
        result = store.merge("properties", table, replace=replace)
        run.counts = {"written": result.written, "present": result.present}
    counts = [
        pc.sum(pc.equal(values, place)).as_py() or 0 for place in range(len(classes_of(unit)))
    ]
    return Derived(
        property=name,
        source=source,
        unit=unit,
        counts=dict(zip(classes_of(unit), counts, strict=True)),
        written=result.written,
        present=result.present,
        without=total - count,
        outdated=len(outdated),
    )


def _values(session: Session, expression: str, sources: dict[str, str]) -> tuple[str, pa.Table]:
    """The type of what a rule gives, and material_id and class of the materials that have one."""
    rule = as_expression(expression, "rule")
    among = with_properties(sources, of_classes=properties_of_classes(session, sources))
    try:
        described = session.read_only_query(f"DESCRIBE SELECT {rule} AS value FROM {among}")
        kind = str(described["column_type"][0].as_py())
        rows = session.read_only_query(
            f"SELECT material_id, CAST({rule} AS VARCHAR) AS class, "
            f"{rule} IS DISTINCT FROM {rule} AS changes FROM {among} ORDER BY material_id"
        )
    except QueryError as error:
        raise InvalidInputError(f"the rule {expression!r} cannot be used: {error}") from error
    if pc.any(rows["changes"], min_count=0).as_py():
        raise InvalidInputError(f"the rule {expression!r} has another value each time it is asked")
    rows = rows.filter(pc.is_valid(rows["class"]))
    if not rows.num_rows:
        raise MissingDataError(f"the rule {expression!r} is null for every material")
    return kind, rows.select(["material_id", "class"])


def _unit(session: Session, name: str, kind: str, rows: pa.Table, classes: Sequence[str]) -> str:
    """What stands in place of the property's unit."""
    if kind != "BOOLEAN" and kind != "VARCHAR" and not kind.startswith("ENUM"):
        raise InvalidInputError(
            f"the rule of {name!r} is of type {kind}; a class is a truth value or a text: compare "
            "with something, or choose a text for each case"
        )
    units = session.query(
        "SELECT DISTINCT unit FROM properties WHERE property = ? ORDER BY unit", [name]
    )["unit"].to_pylist()
    registry = load_registry()
    units += [registry[name].unit] if name in registry and not units else []
    if kind == "BOOLEAN":
        unit = BOOLEAN
    elif classes:
        unit = category_unit(classes)
    elif len(units) == 1 and classes_of(units[0]):
        unit = units[0]
    else:
        unit = category_unit(sorted(set(rows["class"].to_pylist())))
    for other in units:
        if other != unit:
            raise InvalidInputError(
                f"the property {name!r} is there with {shown_unit(other)}, the rule gives "
                f"{shown_unit(unit)}: take another name, or the classes that it has"
            )
    known = classes_of(unit)
    for one in dict.fromkeys(rows["class"].to_pylist()):
        if one not in known:
            raise UnknownNameError(f"class of {name}", one, known, "(the rule gives it)")
    return unit


def _check_same(name: str, ids: pa.ChunkedArray, values: pa.Array, stored: pa.Table) -> None:
    given = dict(zip(ids.to_pylist(), values.to_pylist(), strict=True))
    there = dict(zip(stored["material_id"].to_pylist(), stored["value"].to_pylist(), strict=True))
    changed = [one for one, value in there.items() if given.get(one, value) != value]
    if changed:
        raise ConflictError(
            f"the rule of {name!r} gives another class than is stored for {len(changed):,} "
            f"materials, for example {min(changed)!r}: what it reads has changed; --replace takes "
            "the new ones"
        )
