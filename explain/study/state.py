"""What a study asks the store about itself: its materials and targets, and what is still there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explain.study.record import Made
from featurestore.quoting import SQL
from featurestore.session import Session
from featurestore.store import FeatureStore

# What a step keeps of its output that must still be there, by the name under which it keeps it.
_KEPT = {
    "models": ("model", SQL("SELECT model_id AS id FROM models")),
    "encoder": ("encoder", SQL("SELECT encoder_id AS id FROM encoders")),
    "generator": ("text generator", SQL("SELECT generator_id AS id FROM generators")),
    "feature_set": ("feature set", SQL("SELECT name || '@' || version AS id FROM feature_sets")),
    "splits": ("split", SQL("SELECT DISTINCT split AS id FROM splits")),
}


@dataclass(frozen=True)
class Looked:
    """What a store has.

    Parameters
    ----------
    digests : mapping
        Of all materials with their structures, and of all targets.
    there : mapping of str to set of str
        Ids by kind.
    """

    digests: Mapping[str, Any]
    there: Mapping[str, set[str]]

    def gone(self, made: Made, folder: Path) -> str:
        """What of a step's results is no longer there, in words; nothing if all is."""
        lost = [name for name in made.files if not (folder / name).is_file()]
        if lost:
            return f"its file {lost[0]} is gone"
        for key, (what, _) in _KEPT.items():
            kept = made.output.get(key)
            names = kept if isinstance(kept, list) else [] if kept is None else [kept]
            lost = [name for name in names if name not in self.there[key]]
            if lost:
                return f"its {what} {lost[0]} is gone"
        return ""


def look(store: FeatureStore | None) -> Looked | None:
    """What a store has; None where there is none."""
    if store is None:
        return None
    with store.session() as session:
        there = {
            key: set(session.query(query)["id"].to_pylist()) for key, (_, query) in _KEPT.items()
        }
        return Looked(digests(session), there)


def digests(session: Session) -> dict[str, Any]:
    """Counts and digests of all materials with their structures, and of all targets."""
    materials = session.query(
        "SELECT count(*) AS n, bit_xor(hash(material_id, structure_id))::VARCHAR AS digest "
        "FROM materials"
    ).to_pylist()[0]
    targets = session.query(
        "SELECT count(*) AS n, bit_xor(hash(material_id, property, source, unit, value))::VARCHAR "
        "AS digest FROM properties"
    ).to_pylist()[0]
    return {"materials": materials, "targets": targets}
