"""Which version of an encoder or generator a name stands for: promoted, retired, or neither.

A standing is a row; nothing is ever deleted. A name means its promoted version, else its only one
that is not retired. An id always finds its version, so what was made with a retired one can still
be made again, and a view always says by id what it used.
"""

from __future__ import annotations

from datetime import UTC, datetime

from featurestore.catalogue import versions_of
from featurestore.errors import UnknownNameError
from featurestore.session_tables import IN_USE, PROMOTED, RETIRED
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run


def promote(store: FeatureStore, version_id: str, reason: str, run: Run) -> list[str]:
    """Let the name of an encoder or generator stand for this version from now on.

    Returns
    -------
    list of str
        The versions of the name that were promoted before and are no longer.

    Raises
    ------
    UnknownNameError
        If there is no encoder or generator of that id.
    """
    with store.session() as session:
        known = versions_of(session)
        _check(version_id, known)
        standings = session.standings()
    before = [
        other
        for other, named in known.items()
        if named == known[version_id] and other != version_id and standings.get(other) == PROMOTED
    ]
    rows = [(version_id, PROMOTED), *((other, IN_USE) for other in before)]
    _write(store, rows, reason, run)
    return before


def retire(store: FeatureStore, version_id: str, reason: str, run: Run) -> None:
    """Let the name of an encoder or generator no longer find this version; its rows stay.

    Raises
    ------
    UnknownNameError
        If there is no encoder or generator of that id.
    """
    with store.session() as session:
        _check(version_id, versions_of(session))
    _write(store, [(version_id, RETIRED)], reason, run)


def _check(version_id: str, known: dict[str, tuple[str, str]]) -> None:
    if version_id not in known:
        raise UnknownNameError("encoder or generator id", version_id, known)


def _write(store: FeatureStore, rows: list[tuple[str, str]], reason: str, run: Run) -> None:
    shared = {"reason": reason, "changed_at": datetime.now(UTC), "run_id": run.run_id}
    changed = [{"id": version, "standing": standing} | shared for version, standing in rows]
    run.counts = {"changed": store.merge_rows("standings", changed, replace=True).written}
