"""Says how the sources of one property are taken together, as a new version of its rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from featurestore.catalogue import stored_properties
from featurestore.classes import classes_of
from featurestore.errors import ConflictError, InvalidInputError, UnknownNameError
from featurestore.property_rules import (
    PREFER,
    SEPARATE,
    UNITE,
    PropertyRule,
    property_rules,
    rule_in_force,
    rule_text,
)
from featurestore.session import Session
from featurestore.store import FeatureStore


def unite(
    store: FeatureStore, property: str, sources: Sequence[str], tolerance: float = 0.0
) -> tuple[PropertyRule, bool]:
    """Let sources be one property: they may not disagree by more than a tolerance.

    The value of a material is that of the first source, in the order given, that has one. While
    sources disagree, views and conditions of the property are refused.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    property : str
        A stored property.
    sources : sequence of str
        Two at least.
    tolerance : float
        How far the values of a material may lie apart and agree, in the property's unit.

    Returns
    -------
    PropertyRule
        The rule in force.
    bool
        Whether it is new.

    Raises
    ------
    UnknownNameError
        If the property or a source of it is not in the store.
    InvalidInputError
        If a source is named twice, there are too few, their units differ, or the tolerance is no
        finite number from 0.
    """
    return _ruled(store, UNITE, property, sources, tolerance)


def prefer(store: FeatureStore, property: str, sources: Sequence[str]) -> tuple[PropertyRule, bool]:
    """Let the first source that has a value for a material win; otherwise as `unite`."""
    return _ruled(store, PREFER, property, sources, 0.0)


def separate(store: FeatureStore, property: str) -> tuple[PropertyRule, bool]:
    """Take a property's sources together no longer.

    Raises
    ------
    UnknownNameError
        If no rule is in force for it.
    """
    with store.session() as session:
        if rule_in_force(session, property) is None:
            known = {one.property for one in property_rules(session)}
            raise UnknownNameError("rule of property", property, known)
    return _ruled(store, SEPARATE, property, (), 0.0)


def _ruled(
    store: FeatureStore, way: str, property: str, sources: Sequence[str], tolerance: float
) -> tuple[PropertyRule, bool]:
    with store.session() as session:
        if way != SEPARATE:
            _check(session, way, property, sources, tolerance)
        versions = property_rules(session, property)
        damaged = session.damaged.get("property_rules", [])
    left_out = [int(key["version"] or 0) for key, _ in damaged if key["property"] == property]
    newest = versions[-1].version if versions else 0
    text = rule_text(way, sources, tolerance)
    if versions and versions[-1].text == text and newest > max(left_out, default=0):
        return versions[-1], False
    arguments = {"property": property, "sources": list(sources), "tolerance": tolerance}
    with store.run(f"properties {way}", arguments) as run:
        new = PropertyRule(
            property=property,
            version=max(newest, *left_out, 0) + 1,
            way=way,
            sources=tuple(sources),
            tolerance=tolerance,
            created_at=datetime.now(UTC),
            run_id=run.run_id,
        )
        row = vars(new) | {"sources": list(sources), "rule": text}
        written = store.merge_rows("property_rules", [row])
        run.counts = {"written": written.written}
    if written.conflicts:
        raise ConflictError(
            f"another process has just made another rule for {property!r}; run the command again"
        )
    return new, True


def _check(
    session: Session, way: str, property: str, sources: Sequence[str], tolerance: float
) -> None:
    rows = stored_properties(session, property)
    known = {row["source"] for row in rows}
    for source in sources:
        if source not in known:
            raise UnknownNameError(f"source of {property}", source, known)
        if sources.count(source) > 1:
            raise InvalidInputError(f"source {source!r} is named more than once: name each once")
    if len(sources) < (2 if way == UNITE else 1):
        raise InvalidInputError(
            f"name the sources of {property!r} that are {'united' if way == UNITE else 'preferred'}"
            f"{', two at least' if way == UNITE else ''}: {', '.join(sorted(known))}"
        )
    if not 0 <= tolerance < math.inf:
        raise InvalidInputError(f"a tolerance is a finite number from 0, not {tolerance}")
    units = {row["unit"] for row in rows if row["source"] in sources}
    if len(units) > 1:
        raise InvalidInputError(
            f"the sources have property {property!r} in several units, {', '.join(sorted(units))}: "
            "values in different units are not one property; ingest them again in one unit"
        )
    if tolerance and any(map(classes_of, units)):
        raise InvalidInputError(
            f"{property!r} has classes, which agree or not: it takes no tolerance"
        )
