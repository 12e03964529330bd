"""Stored targets outside the range that the property registry calls plausible, as notes."""

from __future__ import annotations

from featurestore.registry import PropertyRegistry
from featurestore.store import FeatureStore


def implausible_targets(store: FeatureStore, source: str, registry: PropertyRegistry) -> list[str]:
    """A line for each property of a source that has such values; they are kept as they are."""
    notes = []
    with store.session() as session:
        extremes = session.query(
            "SELECT property, min(value) AS low, max(value) AS high FROM properties "
            "WHERE source = ? GROUP BY property ORDER BY property",
            [source],
        ).to_pylist()
        for row in extremes:
            name = row["property"]
            if name not in registry:
                continue
            if registry[name].classes:
                continue
            low, high = registry[name].plausible
            if low <= row["low"] and row["high"] <= high:
                continue
            outside = session.query(
                "SELECT count(*) AS n, min(material_id) AS example FROM properties "
                "WHERE source = ? AND property = ? AND value NOT BETWEEN ? AND ?",
                [source, name, low, high],
            ).to_pylist()[0]
            notes.append(
                f"{outside['n']:,} stored values of {name} are outside the plausible {low:g} to "
                f"{high:g} {registry[name].unit}, for example that of {outside['example']}"
            )
    return notes
