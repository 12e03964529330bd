"""SIGKILL at any moment, then the same command again: the tables are those of one quiet run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import pytest
from fake_encoders import FakeEncoder
from made_up_materials import entry, ingest, rows, write_archive

from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from ingest.sample import sample_archive
from ingest.stages.embeddings import ingest_structure_embeddings
from ingest.stages.selection import Selection

INGEST_STRUCTURES = """
import sys
import ingest.stages.structures
from featurestore.cli import main

ingest.stages.structures._BATCH = 20
sys.argv = ["featurestore", "ingest", "structures", sys.argv[1], "--store", sys.argv[2]]
sys.argv += ["--dataset", "d"]
main()
"""
INGEST_EMBEDDINGS = """
import sys, time
import ingest.stages.embeddings as stage
from fake_encoders import FakeEncoder
from featurestore import FeatureStore
from ingest.stages.selection import Selection

stage._ITEMS_A_CALL, stage._ITEMS_A_WRITE = 5, 10
store = FeatureStore.open(sys.argv[2])
with store.run("ingest embeddings", {}) as run:
    stage.ingest_structure_embeddings(
        store,
        FakeEncoder("structure", before=lambda values: time.sleep(0.03)),
        selection=Selection(),
        retry_failures=False,
        run=run,
    )
"""
SECONDS_AT_MOST = 60


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hundred real structures at several volumes, a few bad ones and duplicates among them."""
    with zipfile.ZipFile(sample_archive()) as bundled:
        sample = json.loads(bundled.read(bundled.namelist()[0]))
    entries: list[dict[str, Any]] = []
    for number in range(4):
        for record in sample:
            atoms = dict(record["atoms"])
            scale = 1 + number / 100
            atoms["lattice_mat"] = [[scale * x for x in row] for row in atoms["lattice_mat"]]
            entries.append(record | {"jid": f"{record['jid']}-{number}", "atoms": atoms})
        entries += [
            entry(f"broken-{number}", cell="text"),
            entry("twice", 4.0, slme=number),
            entry("other", 4.0 + number),
        ]
    return write_archive(tmp_path_factory.mktemp("killed") / "many.json.zip", entries)


@pytest.fixture(scope="module")
def quiet(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The structures and their vectors, ingested without disturbance."""
    store = FeatureStore.open(tmp_path_factory.mktemp("quiet") / "store", create=True)
    ingest(store, archive)
    ingest_structure_embeddings(
        store,
        FakeEncoder("structure"),
        selection=Selection(),
        retry_failures=False,
        run=Run("quiet"),
    )
    return store


def count(store: FeatureStore, table: str) -> int:
    """Rows of a table as Lance sees it; none where there is no table yet."""
    try:
        return int(lance.dataset(f"{store.uri}/{table}.lance").count_rows())
    except ValueError:
        return 0


def run_and_kill(
    script: str, archive: Path, store: FeatureStore, due: Callable[[], bool] | None
) -> bool:
    """Run the script, kill it when due; whether it came to its end."""
    path = f"{Path(__file__).parents[1]}:{Path(__file__).parents[3]}"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(archive), store.uri],
        # with what else is set here, such as OPENBLAS_CORETYPE: volumes are compared bit by bit
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    started = time.monotonic()
    try:
        while process.poll() is None and not (due and due()):
            assert time.monotonic() - started < SECONDS_AT_MOST
            time.sleep(0.005)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert process.returncode in (0, -9), errors.decode()
    return process.returncode == 0


def kill_twice_then_finish(
    script: str, archive: Path, store: FeatureStore, table: str, total: int
) -> None:
    """Kill after roughly a fifth and a half of the rows, each time at an arbitrary moment."""
    moments = random.Random(store.uri)
    for share in (0.2, 0.5):
        reached: list[float] = []
        delay = moments.uniform(0, 0.1)

        def due(share: float = share, reached: list[float] = reached, delay: float = delay) -> bool:
            if not reached and count(store, table) >= share * total:
                reached.append(time.monotonic())
            return bool(reached) and time.monotonic() - reached[0] >= delay

        run_and_kill(script, archive, store, due)
        with store.session():
            pass  # the store opens at once
    assert run_and_kill(script, archive, store, None)


@pytest.mark.slow
def test_structures(archive, quiet, tmp_path):
    store = FeatureStore.open(tmp_path / "store", create=True)
    kill_twice_then_finish(
        INGEST_STRUCTURES, archive, store, "materials", count(quiet, "materials")
    )
    for table in ("materials", "properties"):
        assert rows(store, table) == rows(quiet, table)
    failures = {row["item"] for row in rows(store, "failures")}
    assert failures == {row["item"] for row in rows(quiet, "failures")}
    doubled = {"other", "other (many.json.zip)"}
    assert failures == {*(f"broken-{n}" for n in range(4)), *doubled, "twice slme"}
    statuses = store.sql("SELECT status FROM runs ORDER BY started_at")["status"].to_pylist()
    assert statuses[-1] == "finished" and set(statuses) <= {"killed", "finished"}


@pytest.mark.slow
def test_embeddings(archive, quiet, tmp_path):
    store = FeatureStore.open(tmp_path / "store", create=True)
    ingest(store, archive)
    table = embedding_table("structure", FakeEncoder("structure").spec.encoder_id)
    kill_twice_then_finish(INGEST_EMBEDDINGS, archive, store, table, count(quiet, table))
    for name in (table, "encoders", "materials"):
        assert rows(store, name) == rows(quiet, name)
