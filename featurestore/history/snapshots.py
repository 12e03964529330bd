"""Named states of a store: the version of every table, tagged in Lance so that clean-up keeps it.

A snapshot is there from the moment its row is committed to the ``snapshots`` table, after all tags.
Whatever a killed creation or deletion leaves are tags without a row, which nothing looks at and
which the next creation or deletion removes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from featurestore.errors import ConflictError, InvalidInputError, StorageError, UnknownNameError
from featurestore.history.differences import TableDifference, compare
from featurestore.history.versions import SNAPSHOTS, stored_snapshots, tables_at
from featurestore.quoting import SQL, quoted
from featurestore.tables.order import reading_order
from featurestore.tables.runs import Run, killed_runs
from featurestore.tables.schemas import TABLES
from featurestore.tables.storage import storage_errors
from featurestore.tables.tables import Tables

# What happened stays on record, whatever is restored.
_HISTORY = ("runs", SNAPSHOTS)
# As Lance allows them in tags.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,99}(?<!\.)")
_TAG_PREFIX = "snapshot."
_ATTEMPTS = 3


@dataclass(frozen=True)
class Snapshot:
    """A named state of the store.

    Parameters
    ----------
    name, message : str
        As given by the user.
    created_at : datetime
        When, in UTC.
    versions : mapping of str to int
        The Lance version of each table; tables that did not exist then are not in it.
    rows : mapping of str to int
        Number of rows of each table.
    run_id : str
        The run that made it.
    """

    name: str
    message: str
    created_at: datetime
    versions: Mapping[str, int]
    rows: Mapping[str, int]
    run_id: str

    @property
    def tag(self) -> str:
        """The tag of its versions in Lance."""
        return f"{_TAG_PREFIX}{self.name}.{self.run_id}"


def list_snapshots(tables: Tables) -> list[Snapshot]:
    """All snapshots, oldest first."""
    return [
        Snapshot(
            name=row["name"],
            message=row["message"],
            created_at=row["created_at"],
            versions={entry["table"]: entry["version"] for entry in row["versions"]},
            rows={entry["table"]: entry["rows"] for entry in row["versions"]},
            run_id=row["run_id"],
        )
        for row in stored_snapshots(tables)
    ]


def find_snapshot(tables: Tables, name: str) -> Snapshot:
    """The snapshot of that name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    found = list_snapshots(tables)
    for snapshot in found:
        if snapshot.name == name:
            return snapshot
    raise UnknownNameError("snapshot", name, [snapshot.name for snapshot in found])


def check_new_name(tables: Tables, name: str) -> None:
    """Raise unless a snapshot can be given this name.

    Raises
    ------
    InvalidInputError
        If the name has other characters than letters, digits, ``.``, ``_`` and ``-``.
    ConflictError
        If there is a snapshot of that name.
    """
    if not _NAME.fullmatch(name) or name.endswith(".lock"):
        raise InvalidInputError(
            f"snapshot name {name!r}: use letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit, at most 100"
        )
    if name in {snapshot.name for snapshot in list_snapshots(tables)}:
        raise _taken(name)


def create_snapshot(tables: Tables, name: str, message: str, run: Run) -> Snapshot:
    """Name the present state of every table; `check_new_name` has passed.

    Raises
    ------
    ConflictError
        If another process has made a snapshot of that name since.
    StorageError
        If the storage refuses; there is no snapshot then.
    """
    remove_leftovers(tables)
    for _ in range(_ATTEMPTS):
        snapshot = _present(tables, name, message, run)
        if _tagged(tables, snapshot):
            break
        _remove_tags(tables, snapshot.tag)
    else:
        raise StorageError(
            f"cannot take snapshot {name!r} of {tables.uri}: each time old versions were cleaned "
            "up in between; run the command again when maintenance has ended"
        )
    row = {
        "name": name,
        "message": message,
        "created_at": snapshot.created_at,
        "versions": [
            {"table": table, "version": version, "rows": snapshot.rows[table]}
            for table, version in snapshot.versions.items()
        ],
        "run_id": run.run_id,
    }
    schema = TABLES[SNAPSHOTS].schema
    if not tables.merge(SNAPSHOTS, pa.Table.from_pylist([row], schema=schema)).written:
        _remove_tags(tables, snapshot.tag)
        raise _taken(name)
    return snapshot


def delete_snapshot(tables: Tables, name: str) -> None:
    """Forget a snapshot; its versions may be cleaned up from then on.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    snapshot = find_snapshot(tables, name)
    this = SQL(f"name = {quoted(name)} AND run_id = {quoted(snapshot.run_id)}")
    tables.delete(SNAPSHOTS, this)
    _remove_tags(tables, snapshot.tag)
    remove_leftovers(tables)


def restoration(tables: Tables, name: str) -> list[TableDifference]:
    """What `restore_snapshot` would change: the tables that differ, runs and snapshots aside.

    Raises
    ------
    UnknownNameError
        If there is no snapshot of that name.
    """
    find_snapshot(tables, name)
    differences = compare(tables, tables_at(tables, name))
    return [found for found in differences if found and found.table not in _HISTORY]


def restore_snapshot(tables: Tables, name: str) -> list[TableDifference]:
    """Commit the content of a snapshot as the newest version of every table that differs.

    Earlier versions stay. The record of runs and the snapshots are left as they are. A table that
    did not exist then is emptied. Each table changes at once; after a kill in between the same
    command does the rest.

    Returns
    -------
    list of TableDifference
        What was changed.

    Raises
    ------
    UnknownNameError
        If there is no snapshot of that name.
    """
    snapshot = find_snapshot(tables, name)
    changes = restoration(tables, name)
    for change in changes:
        version = snapshot.versions.get(change.table)
        if version is None:
            tables.delete(change.table, SQL("true"))
        else:
            tables.restore(change.table, version)
    return changes


def remove_leftovers(tables: Tables) -> int:
    """Remove the tags that killed creations and deletions left; how many there were.

    A tag is left over if no snapshot has it and the run that set it has ended. The order of reading
    matters: tags, then runs, then snapshots, so that a creation that ends meanwhile is seen.
    """
    tags = {tag for name in tables.names() for tag in _tags(tables, name)}
    if not tags:
        return 0
    runs = tables.dataset("runs")
    ended = set() if runs is None else {row["run_id"] for row in killed_runs(runs)}
    if runs is not None:
        rows = runs.to_table(columns=["run_id"], filter="status <> 'running'")
        ended |= set(rows["run_id"].to_pylist())
    known = {snapshot.tag for snapshot in list_snapshots(tables)}
    leftover = {tag for tag in tags - known if tag.rpartition(".")[2] in ended}
    for tag in leftover:
        _remove_tags(tables, tag)
    return len(leftover)


def _taken(name: str) -> ConflictError:
    return ConflictError(
        f"there is a snapshot {name!r} already; choose another name, or delete it first with: "
        f"featurestore snapshot delete {name}"
    )


def _present(tables: Tables, name: str, message: str, run: Run) -> Snapshot:
    versions, rows = {}, {}
    for table in reading_order(set(tables.names()) - {SNAPSHOTS}):
        dataset = tables.dataset(table)
        if dataset is not None:
            versions[table], rows[table] = dataset.version, dataset.count_rows()
    return Snapshot(
        name=name,
        message=message,
        created_at=datetime.now(UTC),
        versions=versions,
        rows=rows,
        run_id=run.run_id,
    )


def _tagged(tables: Tables, snapshot: Snapshot) -> bool:
    """Tag every version; False if clean-up was faster with one of them."""
    for table, version in snapshot.versions.items():
        dataset = tables.dataset(table)
        if dataset is None or tables.dataset_at(table, version) is None:
            return False
        with _refusals("tag", tables, table):
            dataset.tags.create(snapshot.tag, version)
    return all(tables.dataset_at(table, snapshot.tag) is not None for table in snapshot.versions)


def _tags(tables: Tables, name: str) -> list[str]:
    dataset = tables.dataset(name)
    if dataset is None:
        return []
    with _refusals("read the tags of", tables, name):
        return [tag for tag in dataset.tags.list() if tag.startswith(_TAG_PREFIX)]


def _remove_tags(tables: Tables, tag: str) -> None:
    for name in tables.names():
        if tag in _tags(tables, name):
            dataset: Any = tables.dataset(name)
            with _refusals("remove a tag of", tables, name):
                dataset.tags.delete(tag)


def _refusals(action: str, tables: Tables, name: str) -> AbstractContextManager[None]:
    return storage_errors(
        f"{action} table {name!r} in {tables.uri}",
        "The tables themselves are as they were; free space or mend permissions there and run the "
        "command again",
    )
