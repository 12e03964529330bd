"""Which version of each table a snapshot's name or a moment stands for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from featurestore.errors import (
    InvalidInputError,
    MissingDataError,
    UnknownNameError,
)
from featurestore.tables.storage import storage_errors
from featurestore.tables.tables import Tables

SNAPSHOTS = "snapshots"


def tables_at(tables: Tables, at: str | datetime) -> Tables:
    """The tables as a snapshot or a moment saw them; they can only be read.

    Parameters
    ----------
    tables : Tables
        The store as it is now.
    at : str or datetime
        Name of a snapshot, or a moment: a `datetime`, or text such as ``2026-11-22`` (its first
        moment) or ``2026-11-22T18:30``. UTC where no zone is given.

    Raises
    ------
    UnknownNameError
        If ``at`` is neither a snapshot's name nor a moment.
    InvalidInputError
        If the moment is in the future.
    MissingDataError
        If a version of that moment has been cleaned up.
    """
    names = []
    if isinstance(at, str):
        found = stored_snapshots(tables)
        for row in found:
            if row["name"] == at:
                versions = {entry["table"]: entry["version"] for entry in row["versions"]}
                return Tables(tables.storage, versions, f"snapshot {at!r}")
        names = [row["name"] for row in found]
    moment = at if isinstance(at, datetime) else _parsed(at, names)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise InvalidInputError(
            f"{moment.isoformat()} is in the future: what is read then would not stay as it is"
        )
    versions = {}
    for name in tables.names():
        version = _version_at(tables, name, moment) if name != SNAPSHOTS else None
        if version is not None:
            versions[name] = version
    return Tables(tables.storage, versions, moment.isoformat())


def stored_snapshots(tables: Tables) -> list[dict[str, Any]]:
    """The rows of the ``snapshots`` table, oldest first."""
    dataset = tables.dataset(SNAPSHOTS)
    if dataset is None:
        return []
    rows: list[dict[str, Any]] = dataset.to_table().to_pylist()
    return sorted(rows, key=lambda row: (row["created_at"], row["name"]))


def _parsed(text: str, names: list[str]) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UnknownNameError(
            "snapshot", text, names, "(a time is given as 2026-11-22 or 2026-11-22T18:30)"
        ) from None


def _version_at(tables: Tables, name: str, moment: datetime) -> int | None:
    """The newest version not later than the moment; None where the table did not exist.

    Versions are numbered without gaps, so that a gap shows what clean-up has removed.
    """
    dataset = tables.dataset(name)
    if dataset is None:
        return None
    with storage_errors(f"read the versions of table {name!r} in {tables.uri}"):
        listed = [(entry["version"], _utc(entry["timestamp"])) for entry in dataset.versions()]
    earlier = [version for version, committed in listed if committed <= moment]
    found = max(earlier, default=0)
    following = min((version for version, _ in listed if version > found), default=None)
    if following is not None and following != found + 1:
        raise MissingDataError(
            f"table {name!r} as of {moment.isoformat()} has been cleaned up; name a snapshot "
            f"(featurestore snapshot list) or a time after {_unbroken_since(listed).isoformat()}"
        )
    return found or None


def _unbroken_since(listed: list[tuple[int, datetime]]) -> datetime:
    """When the oldest version was committed after which none is missing."""
    newest_first = sorted(listed, reverse=True)
    since = newest_first[0]
    for entry in newest_first[1:]:
        if entry[0] != since[0] - 1:
            break
        since = entry
    return since[1]


def _utc(timestamp: datetime) -> datetime:
    """Lance gives local times without a zone."""
    return timestamp.astimezone(UTC)
