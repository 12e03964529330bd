"""One thing in the store and what it was made from, and the runs that wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from featurestore.redaction import redacted, without_secrets
from featurestore.session import Session
from featurestore.tables.soundness import object_or_empty


@dataclass(frozen=True)
class RunRecord:
    """A row of ``runs``: the command that wrote something, and how it ended."""

    run_id: str
    command: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    arguments: dict[str, Any] = field(repr=False)
    versions: dict[str, str] = field(repr=False)
    git_commit: str | None
    counts: dict[str, int]
    message: str | None


@dataclass(frozen=True)
class Node:
    """One thing in the store, and what it was made from.

    Parameters
    ----------
    kind : str
        "model", "training view", "vectors", "sentences", "structures", "targets", "folds", …
    name : str
        Its id, or how many there are.
    facts : dict
        What identifies its content: fingerprints, hashes, versions. JSON values.
    table : str
        The table that holds it; empty for a view, a figure or a source file.
    runs : tuple of RunRecord
        What wrote it.
    inputs : tuple of Node
        What it was made from.
    """

    kind: str
    name: str
    facts: dict[str, Any]
    table: str = ""
    runs: tuple[RunRecord, ...] = ()
    inputs: tuple[Node, ...] = ()


def written(moment: datetime | None) -> str | None:
    """A moment as JSON has it; a damaged row may lack its own."""
    return moment.isoformat() if moment is not None else None


def runs_of(session: Session, run_ids: Sequence[str]) -> tuple[RunRecord, ...]:
    """The runs, oldest first; one that is not on record has the status "unknown"."""
    rows = session.query(
        "SELECT * FROM runs WHERE run_id IN (SELECT unnest(?)) ORDER BY started_at", [list(run_ids)]
    ).to_pylist()
    known = tuple(
        RunRecord(
            run_id=row["run_id"],
            command=row["command"],
            status=row["status"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            arguments=without_secrets(object_or_empty(row["arguments"])),
            versions=object_or_empty(row["versions"]),
            git_commit=row["git_commit"],
            counts=object_or_empty(row["counts"]),
            message=None if row["message"] is None else redacted(row["message"]),
        )
        for row in rows
    )
    lacking = set(run_ids) - {run.run_id for run in known}
    return known + tuple(
        RunRecord(
            run_id=run_id,
            command="?",
            status="unknown",
            started_at=None,
            ended_at=None,
            arguments={},
            versions={},
            git_commit=None,
            counts={},
            message=None,
        )
        for run_id in sorted(lacking)
    )
