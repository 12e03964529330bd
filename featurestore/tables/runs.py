"""The record of every command that writes: what ran, on which versions, and how it ended."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import UnknownNameError
from featurestore.identity import canonical_json
from featurestore.machine.host import host_facts, is_gone
from featurestore.redaction import redacted, without_secrets
from featurestore.tables.exclusion import check_alone
from featurestore.tables.schemas import TABLES
from featurestore.tables.soundness import object_or_empty
from featurestore.tables.tables import Tables

#: A run without an end that began earlier than this was killed.
LONGEST_RUN = timedelta(days=30)

_RECORDED_PACKAGES = (
    "materials-featurestore",
    "alignn",
    "dgl",
    "duckdb",
    "jarvis-tools",
    "lancedb",
    "matminer",
    "numpy",
    "pyarrow",
    "pylance",
    "pymatgen",
    "robocrys",
    "spglib",
    "torch",
    "transformers",
)


@dataclass
class Run:
    """A command under way; ``counts`` is stored when it ends.

    Parameters
    ----------
    run_id : str
        UTC start time and random digits.
    counts : dict of str to int
        What the command did, for example ``{"written": 12}``.
    keep : callable
        Puts facts that came up on the way on record at once, under ``answered`` of the arguments:
        they outlast a kill.
    """

    run_id: str
    counts: dict[str, int] = field(default_factory=dict)
    keep: Callable[[Mapping[str, Any]], None] = field(default=lambda facts: None, repr=False)


@cache
def recorded_versions() -> dict[str, str]:
    """Versions of the installed packages that can change a result."""
    versions = {}
    for package in _RECORDED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def git_commit() -> str | None:
    """The commit of the source tree this code runs from; None outside a git checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    answer = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


@contextmanager
def recorded_run(tables: Tables, command: str, arguments: Mapping[str, Any]) -> Iterator[Run]:
    """Record a run as ``running`` on entry and how it ended on exit.

    A killed process leaves its run as ``running``. It is shown as ``killed`` once its process is
    known to be gone, and the next run on the same machine records it so.

    Raises
    ------
    ReadOnlyStoreError
        If the store is seen as of a snapshot or a time.
    BusyStoreError
        If a command is under way that this one cannot run beside.
    """
    tables.writable()
    # Every run adds two fragments, and each merge looks through all of them.
    tables.compact("runs")
    started = datetime.now(UTC)
    run = Run(f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}")
    row = {
        "run_id": run.run_id,
        "command": command,
        "arguments": canonical_json(without_secrets(dict(arguments))),
        "versions": canonical_json(recorded_versions()),
        "git_commit": git_commit(),
        "pid": os.getpid(),
        "started_at": started,
        "host": canonical_json(host_facts()),
    }

    def keep(facts: Mapping[str, Any]) -> None:
        row["arguments"] = canonical_json(without_secrets(dict(arguments) | {"answered": facts}))
        _write(tables, row | {"status": "running"})

    run.keep = keep
    killed = [dead | {"status": "killed"} for dead in killed_runs(tables.for_writing("runs"))]
    _write(tables, row | {"status": "running"}, *killed)
    status, message = "finished", None
    try:
        check_alone(command, run.run_id, runs_under_way(tables.for_writing("runs")))
        yield run
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except BaseException as error:
        status, message = "failed", redacted(f"{type(error).__name__}: {error}")
        raise
    finally:
        ended = {
            "ended_at": datetime.now(UTC),
            "counts": canonical_json(run.counts),
            "host": canonical_json(host_facts()),  # torch may have been imported since
            "tables": canonical_json(tables.written),
        }
        _write(tables, row | ended | {"status": status, "message": message})


def killed_runs(runs: Any | None) -> list[dict[str, Any]]:
    """The rows of runs without an end whose process is gone.

    Parameters
    ----------
    runs : lance.LanceDataset or None
        The ``runs`` table.
    """
    if runs is None or "host" not in runs.schema.names:
        return []
    open_ended = runs.to_table(filter="status = 'running' AND host IS NOT NULL").to_pylist()
    return [row for row in open_ended if is_gone(row["pid"], object_or_empty(row["host"]))]


def runs_under_way(runs: Any | None) -> list[dict[str, Any]]:
    """The rows of runs without an end whose process is not known to be gone.

    Parameters
    ----------
    runs : lance.LanceDataset or None
        The ``runs`` table.
    """
    if runs is None:
        return []
    gone = {row["run_id"] for row in killed_runs(runs)}
    oldest = datetime.now(UTC) - LONGEST_RUN
    open_ended = runs.to_table(filter="status = 'running'").to_pylist()
    return [
        row
        for row in open_ended
        if row["run_id"] not in gone
        and row["started_at"] is not None
        and row["started_at"] > oldest
    ]


def record_ended(tables: Tables, run_id: str) -> None:
    """Record a run of another machine, which has ended unseen, as killed.

    Raises
    ------
    UnknownNameError
        If no run of that id is under way.
    """
    open_ended = {row["run_id"]: row for row in runs_under_way(tables.for_writing("runs"))}
    if run_id not in open_ended:
        raise UnknownNameError("run under way", run_id, open_ended)
    _write(tables, open_ended[run_id] | {"status": "killed"})


def _write(tables: Tables, *rows: dict[str, Any]) -> None:
    schema = TABLES["runs"].schema
    complete = [{name: row.get(name) for name in schema.names} for row in rows]
    tables.merge("runs", pa.Table.from_pylist(complete, schema=schema), replace=True)
