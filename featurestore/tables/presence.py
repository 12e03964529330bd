"""Whether tables are still as new as runs and snapshots say they once were.

Versions of a Lance table only grow. One that is older than what was written to it has lost its
newest manifest, or its folder; it would read as fewer rows, or none, without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.tables.soundness import object_or_empty, problem_of
from featurestore.tables.tables import Tables


@dataclass(frozen=True)
class Loss:
    """A table of which a later version was once there.

    Parameters
    ----------
    table : str
        Its name.
    version : int or None
        The newest that is there; None where there is none.
    recorded : int
        The one that was written.
    by : str
        The run or snapshot that says so.
    """

    table: str
    version: int | None
    recorded: int
    by: str

    def __str__(self) -> str:
        now = "is gone" if self.version is None else f"is at version {self.version}"
        return f"table {self.table} {now}, but {self.by} saw its version {self.recorded}"


def losses(tables: Tables, versions: Mapping[str, int], datasets: Mapping[str, Any]) -> list[Loss]:
    """The tables that are older than what is on record.

    Parameters
    ----------
    tables : Tables
        To look again: a table may have been written to while the others were opened.
    versions : mapping of str to int
        The version of each table that is there.
    datasets : mapping of str to lance.LanceDataset
        ``runs`` and ``snapshots`` are looked at.
    """
    found = []
    for table, (recorded, by) in sorted(_recorded(datasets).items()):
        if versions.get(table, 0) < recorded:
            dataset = tables.dataset(table)
            version = None if dataset is None else dataset.version
            if (version or 0) < recorded:
                found.append(Loss(table, version, recorded, by))
    return found


def _recorded(datasets: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """The newest version of each table on record, and what says so."""
    found: dict[str, tuple[int, str]] = {}

    def note(table: object, version: object, by: str) -> None:
        if isinstance(table, str) and isinstance(version, int):
            found[table] = max(found.get(table, (0, "")), (version, by))

    runs = datasets.get("runs")
    if runs is not None and "tables" in runs.schema.names:
        rows = runs.to_table(columns=["run_id", "tables"], filter="tables IS NOT NULL")
        for row in rows.to_pylist():
            for table, version in object_or_empty(row["tables"]).items():
                note(table, version, f"run {row['run_id']}")
    snapshots = datasets.get("snapshots")
    if snapshots is not None:
        columns = ["name", "run_id", "created_at", "versions"]
        for row in snapshots.to_table(columns=columns).to_pylist():
            if problem_of("snapshots", row) is None:
                for entry in row["versions"]:
                    note(entry["table"], entry["version"], f"snapshot {row['name']}")
    return found
