"""Tables of properties with their sources and rules, and of materials whose sources disagree."""

from __future__ import annotations

import pyarrow as pa

from featurestore.catalogue import stored_properties
from featurestore.errors import InvalidInputError
from featurestore.property_rules import conflicts, rule_in_force
from featurestore.session import Session

_OVERVIEW = pa.schema(
    [
        *[pa.field(name, pa.string()) for name in ("property", "source", "unit")],
        pa.field("values", pa.int64()),
        pa.field("rule", pa.string()),
        pa.field("conflicts", pa.int64()),
    ]
)


def property_overview(session: Session) -> pa.Table:
    """Every source of every property.

    Returns
    -------
    pyarrow.Table
        property, source, unit, values, rule (null where none is in force, "not in the rule" for a
        source that it leaves out) and conflicts (materials for which the rule's sources disagree).
    """
    rows = session.query(
        "SELECT property, source, unit, count(*) AS values FROM properties GROUP BY ALL "
        "ORDER BY property, source, unit"
    ).to_pylist()
    for row in rows:
        rule = rule_in_force(session, row["property"])
        if rule is not None:
            row["rule"] = rule.text if row["source"] in rule.sources else "not in the rule"
            found = conflicts(session, rule.property, rule.sources, rule.tolerance)
            row["conflicts"] = found.num_rows
    return pa.Table.from_pylist(rows, schema=_OVERVIEW)


def property_conflicts(session: Session, property: str, tolerance: float | None = None) -> pa.Table:
    """The materials for which the sources of a property's rule disagree, or all its sources.

    Parameters
    ----------
    property : str
        A stored property.
    tolerance : float, optional
        In the property's unit; by default the rule's, or 0 where there is none.

    Returns
    -------
    pyarrow.Table
        As `featurestore.property_rules.conflicts`.

    Raises
    ------
    UnknownNameError
        If no material has the property.
    InvalidInputError
        If the tolerance is negative.
    """
    if tolerance is not None and not tolerance >= 0:
        raise InvalidInputError(f"a tolerance is a number from 0, not {tolerance}")
    rows = stored_properties(session, property)
    rule = rule_in_force(session, property)
    if rule is None:
        sources = sorted({row["source"] for row in rows})
        return conflicts(session, property, sources, tolerance or 0.0)
    allowed = rule.tolerance if tolerance is None else tolerance
    return conflicts(session, property, rule.sources, allowed)
