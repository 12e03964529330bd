"""Targets outside the range that the property registry calls plausible."""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.classes import classes_of
from featurestore.quality.finding import ODD, QualityFinding
from featurestore.registry import PropertyRegistry
from featurestore.session import Session


def check_targets(session: Session, registry: PropertyRegistry) -> Iterator[QualityFinding]:
    """Values outside the plausible range, farthest first; properties the registry lacks are named.

    The item of a finding is the source of the value. Values in another unit than the registry's are
    reported as such, whatever their size.
    """
    stored = session.query(
        "SELECT property, source, unit, count(*) AS n FROM properties GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    for row in stored:
        name, source, unit, count = (row[key] for key in ("property", "source", "unit", "n"))
        if classes := classes_of(unit):
            yield from _no_classes(session, name, source, unit, len(classes))
            continue
        if name not in registry:
            note = "values of a property that the registry does not know: nothing is checked"
            yield QualityFinding(
                level=ODD,
                check="unknown property",
                subject=name,
                item=source,
                value=count,
                reference=None,
                note=note,
            )
            continue
        known = registry[name]
        if unit != known.unit:
            note = f"values in {unit}, the registry has {known.unit}: nothing is checked"
            yield QualityFinding(
                level=ODD,
                check="other unit",
                subject=name,
                item=source,
                value=count,
                reference=None,
                note=note,
            )
            continue
        low, high = known.plausible
        outside = session.query(
            "SELECT material_id, value FROM properties WHERE property = ? AND source = ? "
            "AND unit = ? AND value NOT BETWEEN ? AND ? "
            "ORDER BY greatest(? - value, value - ?) DESC, material_id",
            [name, source, unit, low, high, low, high],
        ).to_pylist()
        for found in outside:
            limit = low if found["value"] < low else high
            note = f"{unit}; plausible are {low:g} to {high:g}"
            material = found["material_id"]
            yield QualityFinding(
                level=ODD,
                check="implausible target",
                subject=name,
                item=source,
                value=found["value"],
                reference=limit,
                note=note,
                material_id=material,
            )


def _no_classes(
    session: Session, name: str, source: str, unit: str, n_classes: int
) -> Iterator[QualityFinding]:
    """Values that are the places of no class."""
    rows = session.query(
        "SELECT material_id, value FROM properties WHERE property = ? AND source = ? AND unit = ? "
        "AND NOT (value BETWEEN 0 AND ? AND value = floor(value)) ORDER BY material_id",
        [name, source, unit, n_classes - 1],
    ).to_pylist()
    for row in rows:
        yield QualityFinding(
            level=ODD,
            check="implausible target",
            subject=name,
            item=source,
            value=row["value"],
            reference=n_classes - 1.0,
            note=f"the place of no class in {unit}",
            material_id=row["material_id"],
        )
