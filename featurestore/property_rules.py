"""How the sources of one property are taken together: the rule in force, and where they disagree.

A rule is written as one text, which stands wherever a source does: in a view's SQL and parameters,
in a feature, in a condition. The text says all that it does, so that a view under another rule is
another view, and one under no rule is what it was.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from featurestore.errors import InvalidInputError
from featurestore.identity import canonical_json
from featurestore.quoting import SQL, identifier, quoted
from featurestore.session import Session

UNITE, PREFER, SEPARATE = "unite", "prefer", "separate"


@dataclass(frozen=True)
class PropertyRule:
    """A version of the rule of one property.

    Parameters
    ----------
    property : str
        Which.
    version : int
        From 1; the newest is in force.
    way : {"unite", "prefer", "separate"}
        "prefer": the first source that has a value for a material. "unite": likewise, and the
        sources may not disagree. "separate": no rule any more.
    sources : tuple of str
        In order.
    tolerance : float
        How far values of one material may lie apart and agree, in the property's unit.
    created_at : datetime
        UTC.
    run_id : str
        The run that made it.
    """

    property: str
    version: int
    way: str
    sources: tuple[str, ...]
    tolerance: float
    created_at: datetime
    run_id: str

    @builtins.property
    def text(self) -> str:
        """The rule as it stands in place of a source."""
        return rule_text(self.way, self.sources, self.tolerance)


def rule_text(way: str, sources: Sequence[str], tolerance: float) -> str:
    """A rule as it stands in place of a source, as ``unite ["lab","cifs"] within 0.01``."""
    within = f" within {tolerance!r}" if tolerance else ""
    return f"{way} {canonical_json(list(sources))}{within}"


def is_rule(source: str) -> bool:
    """Whether what stands in place of a source is a rule: no source may be called so."""
    return source.startswith((f"{UNITE} [", f"{PREFER} ["))


def property_rules(session: Session, property: str | None = None) -> list[PropertyRule]:
    """All versions of the rules, or of one property's, in order."""
    rows = session.query(
        "SELECT property, version, way, sources, tolerance, created_at, run_id "
        "FROM property_rules WHERE ?1 IS NULL OR property = ?1 ORDER BY property, version",
        [property],
    ).to_pylist()
    return [PropertyRule(**row | {"sources": tuple(row["sources"])}) for row in rows]


def rule_in_force(session: Session, property: str) -> PropertyRule | None:
    """The rule by which a property's sources are taken together; None where there is none.

    Raises
    ------
    InvalidInputError
        If the newest version is damaged: an older one must not take its place in silence.
    """
    versions = property_rules(session, property)
    damaged = (
        int(key["version"] or 0)
        for key, _ in session.damaged.get("property_rules", [])
        if key["property"] == property
    )
    newest = versions[-1] if versions else None
    if (worst := max(damaged, default=0)) > (newest.version if newest else 0):
        raise InvalidInputError(
            f"version {worst} of the rule of property {property!r} is damaged; say the rule again "
            "with featurestore properties, or see: featurestore verify"
        )
    return None if newest is None or newest.way == SEPARATE else newest


def conflicts(
    session: Session, property: str, sources: Sequence[str], tolerance: float
) -> pa.Table:
    """The materials for which sources of a property disagree.

    Parameters
    ----------
    property : str
        Which.
    sources : sequence of str
        Which are compared.
    tolerance : float
        How far the values of a material may lie apart and agree, in the property's unit.

    Returns
    -------
    pyarrow.Table
        material_id, formula, values (each as "SOURCE VALUE"), difference (the largest), unit; the
        largest difference first.
    """
    return session.query(
        "SELECT material_id, formula, string_agg(p.source || ' ' || "
        "coalesce(class_name(p.value, p.unit), CAST(p.value AS VARCHAR)), ', ' "
        "ORDER BY list_position(?2, p.source)) AS values, max(p.value) - min(p.value) AS "
        "difference, min(p.unit) AS unit FROM properties p JOIN materials USING (material_id) "
        "WHERE p.property = ?1 AND list_contains(?2, p.source) GROUP BY material_id, formula "
        "HAVING max(p.value) - min(p.value) > ?3 ORDER BY difference DESC, material_id",
        [property, list(sources), tolerance],
    )


def check_united(session: Session, rule: PropertyRule) -> None:
    """Raise if sources that are one property disagree for a material.

    Raises
    ------
    InvalidInputError
        With the number of materials and the ways out.
    """
    if rule.way != UNITE:
        return
    found = conflicts(session, rule.property, rule.sources, rule.tolerance)
    if found.num_rows:
        first = found.slice(0, 1).to_pylist()[0]
        name = rule.property
        raise InvalidInputError(
            f"the united sources of property {name!r} disagree by more than {rule.tolerance:g} "
            f"{first['unit']} for {found.num_rows:,} materials, for example "
            f"{first['material_id']!r} ({first['values']}). List them with: featurestore "
            f"properties conflicts {name}; then correct them, unite with a larger --tolerance, or "
            f"say which source goes first with: featurestore properties prefer {name} SOURCES"
        )


def values_sql(property: str, source: str, called: str, named: bool = False) -> SQL:
    """A query for material_id and a property's values, ``called`` so, by a source or a rule.

    ``named`` values are the names of classes.
    """
    of_source = SQL(f"properties WHERE property = {quoted(property)} AND source = {quoted(source)}")
    of_rule = SQL(f"ruled_values WHERE property = {quoted(property)} AND rule = {quoted(source)}")
    values = of_rule if is_rule(source) else of_source
    value = SQL("class_name(value, unit)" if named else "value")
    return SQL(f"SELECT material_id, {value} AS {identifier(called)} FROM {values}")
