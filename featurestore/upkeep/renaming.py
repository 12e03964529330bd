"""Gives something another name: the plan says what bears the old one, then each table changes.

Each table changes in one commit, and what the old name is found by changes last, so that a renaming
that was cut off leaves a store that opens, and the same command finds what is left. Models are
never rewritten: the names are part of their fingerprints, and the renaming is on record for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from featurestore.quoting import SQL
from featurestore.store import FeatureStore


@dataclass(frozen=True)
class Change:
    """Rows of one table that bear the old name.

    Parameters
    ----------
    table : str
        Theirs.
    what : str
        What they are, in words, after their number.
    condition : SQL
        Holds for these rows.
    values : mapping of str to SQL
        By column what it becomes.
    n : int
        How many there are.
    """

    table: str
    what: str
    condition: SQL
    values: Mapping[str, SQL]
    n: int


@dataclass(frozen=True)
class Renaming:
    """What a renaming would do.

    Parameters
    ----------
    kind : str
        As in `featurestore.renames`.
    names : tuple of (str, str)
        Old and new; of a cross-validation also those of its splits.
    changes : tuple of Change
        In order.
    models : tuple of str
        That have learned from it or predicted it under the old name.
    property : str
        Of which a source is renamed.
    stays : tuple of str
        Sentences about what hangs on it and stays.
    added : tuple of (str, dict)
        Table and row; first of all. The run is put in where the row has none.
    removed : tuple of Change
        Rows that go, last of all.
    """

    kind: str
    names: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    models: tuple[str, ...] = ()
    property: str = ""
    stays: tuple[str, ...] = ()
    added: tuple[tuple[str, dict[str, Any]], ...] = ()
    removed: tuple[Change, ...] = ()

    def lines(self) -> list[str]:
        """The plan for people."""
        old, new = self.names[0]
        of = f" of {self.property}" if self.property else ""
        return [
            f"{self.kind}{of}: {old} becomes {new}",
            *(f"  {change.n:,} {change.what}" for change in self.changes if change.n),
            *(f"  {sentence}" for sentence in self.stays),
        ]


def carry_out_renaming(store: FeatureStore, renaming: Renaming) -> dict[str, int]:
    """Do what a plan says, as a run on record beside which no other writes.

    Returns
    -------
    dict of str to int
        Rows changed, by table.

    Raises
    ------
    BusyStoreError
        If another command is writing.
    StorageError
        If the storage refuses; the same command goes on from there.
    """
    old, new = renaming.names[0]
    arguments = {"kind": renaming.kind, "old": old, "new": new}
    if renaming.property:
        arguments["property"] = renaming.property
    changed: dict[str, int] = {}
    with store.run("rename", arguments) as run:
        shared = {
            "kind": renaming.kind,
            "property": renaming.property,
            "models": list(renaming.models),
            "renamed_at": datetime.now(UTC),
            "run_id": run.run_id,
        }
        store.merge_rows(
            "renames", [shared | {"old": one, "new": other} for one, other in renaming.names]
        )
        for table, row in renaming.added:
            store.merge_rows(table, [{"run_id": run.run_id} | row])
        for change in renaming.changes:
            if change.n:
                store.update(change.table, change.condition, change.values)
                changed[change.table] = changed.get(change.table, 0) + change.n
        for change in renaming.removed:
            store.remove(change.table, change.condition)
        run.counts = changed
    return changed
