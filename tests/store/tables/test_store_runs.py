"""The record of commands: how each ended is known, also where the process was killed."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lance
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


def test_many_runs_stay_in_few_fragments(store):
    for _ in range(12):
        with store.run("x", {}):
            pass
    assert len(store.dataset("runs").get_fragments()) <= 11
    assert store.sql("SELECT status, count(*) AS n FROM runs GROUP BY ALL").to_pylist() == [
        {"status": "finished", "n": 12}
    ]


def test_an_interruption_is_recorded_and_raised(store):
    with pytest.raises(KeyboardInterrupt), store.run("x", {}):
        raise KeyboardInterrupt
    assert (only_run(store)["status"], only_run(store)["message"]) == ("interrupted", None)


def test_every_run_has_an_id_of_its_own(store):
    for _ in range(3):
        with store.run("x", {}):
            pass
    assert store.sql("SELECT count(DISTINCT run_id) AS n FROM runs")["n"].to_pylist() == [3]


KILLED = """
    import os, signal, sys
    from featurestore import FeatureStore
    with FeatureStore.open(sys.argv[1], create=True).run("x", {}):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run whose process was killed has written."""
    place = str(tmp_path_factory.mktemp("killed") / "store")
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), place])
    assert process.wait(60) == -signal.SIGKILL
    [row] = lance.dataset(f"{place}/runs.lance").to_table().to_pylist()
    assert (row["status"], row["pid"], row["ended_at"]) == ("running", process.pid, None)
    return dict(row)


def stored_status(store: FeatureStore) -> list[str]:
    """As the table holds it, in order of the start."""
    found = lance.dataset(f"{store.uri}/runs.lance").to_table().sort_by("started_at")
    return list(found["status"].to_pylist())


def test_a_killed_run_is_shown_as_killed_and_the_next_run_records_it(store, killed):
    store.merge_rows("runs", [killed])
    assert only_run(store) == killed | {"status": "killed"}
    assert stored_status(store) == ["running"]
    with store.run("y", {}):
        assert stored_status(store) == ["killed", "running"]
        statuses = store.sql("SELECT status FROM runs ORDER BY started_at")["status"]
        assert statuses.to_pylist() == ["killed", "running"]
    assert stored_status(store) == ["killed", "finished"]


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, "killed"),
        ({"boot": "another"}, "killed"),
        ({"process_start": "1"}, "killed"),
        ({"machine": "another"}, "running"),
    ],
)
def test_who_is_known_to_be_gone(store, killed, facts, status):
    # The number of a living process: only its start and the machine tell it from the killed one.
    pid = killed["pid"] if not facts or "machine" in facts else os.getpid()
    host = json.dumps(json.loads(killed["host"]) | facts)
    store.merge_rows("runs", [killed | {"host": host, "pid": pid}])
    assert only_run(store)["status"] == status


def test_a_run_of_before_hosts_were_recorded_is_left_as_it_is(store, killed):
    store.merge_rows("runs", [killed | {"host": None}])
    assert only_run(store)["status"] == "running"


def test_the_host_is_recorded_without_saying_which_it_is(store):
    with store.run("x", {}):
        pass
    host = json.loads(only_run(store)["host"])
    assert host["processors"] >= 1 and host["device"] and host["platform"] and host["python"]
    assert host.keys() >= {"threads", "machine", "boot", "process_start"}
    assert platform.node() not in json.dumps(host)


def test_torch_in_use_is_recorded(store, monkeypatch):
    cuda = SimpleNamespace(is_initialized=lambda: True, get_device_name=lambda: "A card")
    torch = SimpleNamespace(get_num_threads=lambda: 3, cuda=cuda)
    with store.run("x", {}):
        monkeypatch.setitem(sys.modules, "torch", torch)
    host = json.loads(only_run(store)["host"])
    assert (host["threads"], host["device"]) == (3, "A card")
