"""The order in which the versions of tables are looked up."""

from __future__ import annotations

from collections.abc import Iterable

_RANKS = {
    "effects": -4,
    "erasures": -3,
    "forecasts": -2,
    "imported_models": -2,
    "predictions": -2,
    "models": -1,
    "feature_sets": -1,
    # the embeddings, failures and snapshots
    "encoders": 1,
    "renderings": 1,
    "sentences": 2,
    "generators": 3,
    "property_rules": 4,
    "splits": 4,
    "split_versions": 5,
    "properties": 5,
    "materials": 6,
    "runs": 7,
}


def reading_order(names: Iterable[str]) -> list[str]:
    """Table names, what is derived before what it is derived from.

    Writers commit in the opposite order, so that whatever a row refers to is among the rows that
    are seen, although other processes write while the versions are looked up.
    """
    return sorted(names, key=lambda name: (_RANKS.get(name, 0), name))
