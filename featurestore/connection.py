"""A DuckDB connection that reaches no file, no network and nothing of this process."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import duckdb

from featurestore.machine.memory import machine_memory

# The rest is for Arrow, for the vectors, and for other programs.
_SHARE_OF_MEMORY = 0.5


def connect(memory: int | None = None) -> duckdb.DuckDBPyConnection:
    """A new database in memory.

    Parameters
    ----------
    memory : int, optional
        Bytes that a query may take before it spills to disk or ends; half the machine's by default.
    """
    connection = duckdb.connect(
        config={
            "python_enable_replacements": "false",
            "enable_external_access": "false",
            "temp_directory": _spill_folder(),
            "memory_limit": f"{memory or int(machine_memory() * _SHARE_OF_MEMORY)}B",
        }
    )
    # DuckDB shows one on standard output, among results, where Python runs no file (python -c).
    connection.execute("SET enable_progress_bar = false")
    return connection


def _spill_folder() -> str:
    """Where DuckDB puts what outgrows its memory; it makes the folder when it must, and removes it.

    SQL may read this folder, so nothing else may ever be in it: DuckDB's default is ``.tmp`` in the
    working directory.
    """
    return str(Path(tempfile.gettempdir()) / f"featurestore-{secrets.token_hex(8)}")
