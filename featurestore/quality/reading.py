"""Materials whose structure was stored with a note on how it was read."""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.quality.finding import ODD, QualityFinding
from featurestore.session import Session


def check_reading(session: Session) -> Iterator[QualityFinding]:
    """A finding for each note; the subject is the file, the item the structure."""
    there = session.query("DESCRIBE materials").column("column_name").to_pylist()
    if "notes" not in there:  # a store of an earlier schema
        return
    rows = session.query(
        "SELECT material_id, structure_id, source_file, unnest(notes) AS note FROM materials "
        "WHERE notes IS NOT NULL ORDER BY material_id, note"
    ).to_pylist()
    for row in rows:
        yield QualityFinding(
            level=ODD,
            check="note on reading",
            subject=row["source_file"],
            item=row["structure_id"],
            value=None,
            reference=None,
            note=row["note"],
            material_id=row["material_id"],
        )
