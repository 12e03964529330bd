"""The record of commands: how each ended is known, also where the process was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from featurestore.errors import InvalidInputError
from featurestore.store import FeatureStore


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(tmp_path / "store", create=True)


def only_run(store: FeatureStore) -> dict[str, Any]:
    [row] = store.sql("FROM runs").to_pylist()
    return row


def test_a_run_is_on_record_while_it_goes_on(store):
    with store.run("ingest text", {"source": "chemnlp", "seed": 0}) as run:
        row = only_run(store)
        assert (row["run_id"], row["status"], row["pid"]) == (run.run_id, "running", os.getpid())
        assert row["ended_at"] is None and row["counts"] is None
        run.counts = {"written": 3}
    row = only_run(store)
    assert (row["command"], row["status"], row["message"]) == ("ingest text", "finished", None)
    assert json.loads(row["arguments"]) == {"source": "chemnlp", "seed": 0}
    assert json.loads(row["counts"]) == {"written": 3}
    assert row["ended_at"] >= row["started_at"]
    assert {"pyarrow", "pylance", "materials-featurestore"} <= set(json.loads(row["versions"]))


def test_an_error_is_recorded_and_raised(store):
    with pytest.raises(InvalidInputError), store.run("x", {}) as run:
        run.counts["written"] = 1
        raise InvalidInputError("bad 'file'")
    row = only_run(store)
    assert (row["status"], row["message"]) == ("failed", "InvalidInputError: bad 'file'")
    assert json.loads(row["counts"]) == {"written": 1}


def test_an_interruption_is_recorded_and_raised(store):
    with pytest.raises(KeyboardInterrupt), store.run("x", {}):
        raise KeyboardInterrupt
    assert (only_run(store)["status"], only_run(store)["message"]) == ("interrupted", None)


def test_every_run_has_an_id_of_its_own(store):
    for _ in range(3):
        with store.run("x", {}):
            pass
    assert store.sql("SELECT count(DISTINCT run_id) AS n FROM runs")["n"].to_pylist() == [3]


def test_a_killed_run_stays_running_with_its_process_id(store):
    script = """
        import os, signal, sys
        from featurestore import FeatureStore
        with FeatureStore.open(sys.argv[1], create=True).run("x", {}):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), store.uri])
    assert process.wait(60) == -signal.SIGKILL
    row = only_run(store)
    assert (row["status"], row["pid"], row["ended_at"]) == ("running", process.pid, None)
