"""A DuckDB connection that reaches no file, no network and nothing of this process."""

from __future__ import annotations

import atexit
import os
import secrets
import tempfile
from functools import lru_cache
from pathlib import Path

import duckdb

from featurestore.machine.memory import machine_memory
from featurestore.query.formulas import add_formulas

# The rest is for Arrow, for the vectors, and for other programs.
_SHARE_OF_MEMORY = 0.5


def connect(memory: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection of its own to a database in memory that the process has once.

    What is registered and defined as temporary is seen by this connection alone. To make a database
    takes 15 ms of processor time, a connection to it none worth naming.

    Parameters
    ----------
    memory : int, optional
        Bytes that queries may take before they spill to disk or end, together with those of other
        connections of the same limit; half the machine's by default.
    """
    limit = memory or int(machine_memory() * _SHARE_OF_MEMORY)
    # A database's threads do not come along into a forked process.
    connection = _database(limit, os.getpid()).cursor()
    try:
        connection.execute("SELECT 1").fetchall()
    except duckdb.FatalException:
        # An error inside DuckDB ends the database that it happens in.
        _database.cache_clear()
        connection = _database(limit, os.getpid()).cursor()
    return connection


@lru_cache(maxsize=4)
def _database(memory: int, process: int) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(
        config={
            "python_enable_replacements": "false",
            "enable_external_access": "false",
            "temp_directory": _spill_folder(),
            "memory_limit": f"{memory}B",
        }
    )
    # DuckDB shows one on standard output, among results, where Python runs no file (python -c). In
    # Jupyter without ipywidgets it has none and refuses every word about it.
    if database.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        database.execute("SET enable_progress_bar = false")
    database.execute("SET lock_configuration = true")
    add_formulas(database)
    return database


def _spill_folder() -> str:
    """Where DuckDB puts what outgrows its memory; it makes the folder when it must, and removes it.

    SQL may read this folder, so nothing else may ever be in it: DuckDB's default is ``.tmp`` in the
    working directory.
    """
    return str(Path(tempfile.gettempdir()) / f"featurestore-{secrets.token_hex(8)}")


# What is left of a database when the interpreter ends is reported by the library as a leak.
atexit.register(_database.cache_clear)
