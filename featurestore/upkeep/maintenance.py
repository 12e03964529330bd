"""Keeps a store small and fast: joins fragments, refreshes indexes, drops superseded versions.

Lance never changes a file; every write adds some and a manifest that lists what is current. Two
rules keep this from pulling the ground from under anyone: a version is dropped only when it was
replaced before the retention time *and* before the oldest run that may still be under way, since
such a run reads the versions it began with; and files that no manifest lists are left alone for
Lance's seven days, since they may belong to a write that has not committed yet. Tagged versions
stay, whatever their age.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import pyarrow.compute as pc

from featurestore.errors import InvalidInputError, MissingDataError, StorageError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import LONGEST_RUN
from featurestore.tables.storage import storage_errors

Result = TypeVar("Result")

KEEP_DAYS = 14
_ATTEMPTS = 5
# Larger fragments than this gain nothing by being joined, and the old ones stay for a while.
_SMALL_FRAGMENT = 16 * 2**20
# Versions and runs are timed by the clocks of the machines that wrote them.
_CLOCK_DIFFERENCE = timedelta(minutes=1)


@dataclass(frozen=True)
class TableMaintenance:
    """What was done to one table, or would be in a dry run.

    Parameters
    ----------
    table : str
        Its name.
    bytes_before, bytes_after : int
        Size of all its files; in a dry run ``bytes_after`` counts what clean-up alone would leave.
    versions_before, versions_after : int
        Versions that can be read.
    fragments_before, fragments_after : int
        Pieces that the newest version is in.
    note : str
        Why something was left undone; else empty.
    """

    table: str
    bytes_before: int
    bytes_after: int
    versions_before: int
    versions_after: int
    fragments_before: int
    fragments_after: int
    note: str = ""


def maintain(
    store: FeatureStore,
    *,
    keep_days: float = KEEP_DAYS,
    dry_run: bool = False,
    compact: bool = True,
) -> list[TableMaintenance]:
    """Compact every table, refresh its indexes and drop versions older than ``keep_days``.

    Safe beside running writers and readers; rows do not change.

    Parameters
    ----------
    store : FeatureStore
        The store.
    keep_days : float
        Versions superseded for less than this stay readable.
    dry_run : bool
        Change nothing, and say what would be dropped.
    compact : bool
        Whether to join fragments and refresh indexes, which needs room; else only drop.

    Raises
    ------
    InvalidInputError
        If ``keep_days`` is negative.
    StorageError
        If the storage refuses.
    """
    if not keep_days >= 0:
        raise InvalidInputError(f"versions are kept for a number of days from 0, not {keep_days}")
    with store.session() as session:
        names = sorted(session.versions)
        running_since = _running_since(session)
    keep = timedelta(days=keep_days)
    return [_maintained(store, name, keep, running_since, dry_run, compact) for name in names]


def recorded_maintenance(
    store: FeatureStore, *, keep_days: float = KEEP_DAYS
) -> list[TableMaintenance]:
    """`maintain` as a run of its own.

    Where there is no space left even for the record of the run, old versions are dropped before it
    is made.

    Raises
    ------
    InvalidInputError, StorageError
        As `maintain`.
    """
    try:
        return _as_a_run(store, keep_days)
    except StorageError as error:
        if not is_full(error):
            raise
    dropped = maintain(store, keep_days=keep_days, compact=False)
    again = {table.table: table for table in _as_a_run(store, keep_days)}
    return [_since(before, again.get(before.table, before)) for before in dropped]


def _as_a_run(store: FeatureStore, keep_days: float) -> list[TableMaintenance]:
    with store.run("maintain", {"keep_days": keep_days}) as run:
        done = maintain(store, keep_days=keep_days)
        run.counts = {"bytes_freed": sum(t.bytes_before - t.bytes_after for t in done)}
    return done


def _since(before: TableMaintenance, after: TableMaintenance) -> TableMaintenance:
    """Two maintenances of a table as one."""
    return replace(
        after,
        bytes_before=before.bytes_before,
        versions_before=before.versions_before,
        fragments_before=before.fragments_before,
    )


def is_full(error: BaseException) -> bool:
    """Whether a storage refused a write because there is no room for it."""
    return any(words in str(error).lower() for words in _FULL)


_FULL = ("no space left", "os error 28", "disk quota exceeded", "os error 122")


def _running_since(session: Session) -> datetime | None:
    """When the oldest run began that may still be under way."""
    started: datetime | None = session.query(
        "SELECT min(started_at) AS first FROM runs WHERE status = 'running' AND started_at > ?",
        [datetime.now(UTC) - LONGEST_RUN],
    )["first"][0].as_py()
    return None if started is None else started - _CLOCK_DIFFERENCE


def _maintained(
    store: FeatureStore,
    name: str,
    keep: timedelta,
    running_since: datetime | None,
    dry_run: bool,
    compact: bool,
) -> TableMaintenance:
    def superseded(dataset: Any) -> dict[str, Any]:
        moment = datetime.now(UTC) - keep
        return _superseded(dataset, min(moment, running_since or moment))

    before = _dataset(store, name)
    size, versions, fragments = _size(before), _versions(before), len(before.get_fragments())
    if dry_run:
        with _storage(store, f"examine table {name!r}"):
            found = _beside_others(
                lambda: before.explain_cleanup_old_versions(**superseded(before)).stats
            )
        left = size - found.bytes_removed
        return TableMaintenance(
            table=name,
            bytes_before=size,
            bytes_after=left,
            versions_before=versions,
            versions_after=versions - found.old_versions,
            fragments_before=fragments,
            fragments_after=fragments,
        )
    note = ""
    if compact:
        try:
            with _storage(store, f"compact table {name!r}"):
                note = _compacted(store, name)
        except StorageError as error:
            if not is_full(error):
                raise
            note = "no space left to compact it; old versions were dropped"

    def drop() -> None:
        dataset = _dataset(store, name)
        dataset.cleanup_old_versions(**superseded(dataset))

    with _storage(store, f"drop old versions of table {name!r}"):
        _beside_others(drop)
    after = _dataset(store, name)
    return TableMaintenance(
        table=name,
        bytes_before=size,
        bytes_after=_size(after),
        versions_before=versions,
        versions_after=_versions(after),
        fragments_before=fragments,
        fragments_after=len(after.get_fragments()),
        note=note,
    )


def _beside_others(action: Callable[[], Result]) -> Result:
    """The action's result, tried again where another maintenance drops what it has just listed.

    What is not found a second time was not dropped meanwhile: it is missing.
    """
    missed = set()
    while True:
        try:
            return action()
        except (OSError, RuntimeError, ValueError) as error:
            if "not found" not in str(error).lower() or str(error) in missed:
                raise
            missed.add(str(error))


def _superseded(dataset: Any, keep_from: datetime) -> dict[str, Any]:
    """Arguments for Lance's clean-up: the versions that a later one had replaced before the time.

    Lance's own rule goes by the age of a version, not by when it ceased to be the newest: after a
    month without a write, the first write would make yesterday's content unreadable.
    """
    every = sorted(dataset.versions(), key=lambda version: version["version"])
    moment = keep_from.astimezone().replace(tzinfo=None)  # Lance gives local time without a zone
    old = [
        version["version"]
        for version, next_one in pairwise(every)
        if next_one["timestamp"] < moment
    ]
    # Without old versions, what killed writers left over a week ago still goes.
    chosen = {"versions": old} if old else {"older_than": timedelta(days=36500)}
    return {"error_if_tagged_old_versions": False, **chosen}


def _compacted(store: FeatureStore, name: str) -> str:
    """Join fragments and bring indexes up to date; why not, if other writers were faster."""
    for _ in range(_ATTEMPTS):
        dataset = _dataset(store, name)
        try:
            fragments = len(dataset.get_fragments())
            if fragments > 1 and _current_size(dataset) < fragments * _SMALL_FRAGMENT:
                dataset.optimize.compact_files()
            if dataset.list_indices():
                _dataset(store, name).optimize.optimize_indices()
            return ""
        except (OSError, RuntimeError, ValueError) as error:
            # Lance's word for a commit that another writer's has overtaken.
            if "conflict" not in str(error).lower():
                raise
    return "is being written to; left for the next time"


def _storage(store: FeatureStore, action: str) -> AbstractContextManager[None]:
    return storage_errors(
        f"{action} in {store.uri}",
        "What was committed before is intact; free space or mend permissions there and run the "
        "command again",
    )


def _dataset(store: FeatureStore, name: str) -> Any:
    """The newest version of a table."""
    dataset = store.dataset(name)
    if dataset is None:
        raise MissingDataError(f"table {name!r} has vanished from {store.uri}")
    return dataset


def _size(dataset: Any) -> int:
    return pc.sum(dataset.all_files().read_all()["size_bytes"]).as_py() or 0


def _current_size(dataset: Any) -> int:
    """Bytes of the data files that the newest version reads."""
    return sum(
        file.file_size_bytes or 0
        for fragment in dataset.get_fragments()
        for file in fragment.data_files()
    )


def _versions(dataset: Any) -> int:
    return len(dataset.version_refs())
