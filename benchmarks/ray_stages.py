"""Every stage on a Ray cluster of three nodes and on this machine alone: the same rows?

    python -m benchmarks.ray_stages --archive jdft_3d.json.zip --n 300

The bundled sample and random structures of an archive are described by both sources, encoded, and
learned from, in two stores: one by this machine's own processes, one by a cluster, of which a
worker is killed while it describes and a node while it encodes. At the end all rows are compared,
models to the byte.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from click.testing import CliRunner

from benchmarks.options import sample_options
from benchmarks.ray_cluster import processes, three_nodes
from featurestore.cli.root import root
from featurestore.store import FeatureStore

_SPLIT = "ingest splits --random 80/10/10 --seed 0 --property formation_energy_peratom --name drawn"
_BENCHMARK = (
    "train benchmark --property formation_energy_peratom --property-source chosen --split drawn "
    "--structure-encoder alignn-ff --text chemnlp --text-encoder minilm --predictor mlp "
    "--predictor gbt --set mlp.max_epochs=20 --set gbt.max_epochs=100 --seeds 2"
)
_CHEMNLP = "ingest text --text chemnlp"


@click.command()
@sample_options
@click.option("--described", default=30, show_default=True, help="By Robocrystallographer.")
@click.option("--folder", help="Where the stores stay, so that the same command goes on.")
def main(archive: Path, n: int, seed: int, described: int, folder: str | None) -> None:
    """Run every stage both ways and print its seconds; exit code 1 where rows differ."""
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as folder:
        here, there = f"{folder}/here", f"{folder}/there"
        chosen = _chosen(archive, n, seed, Path(folder))
        commands = _commands(chosen, described)
        # First: a node is forked, which Lance's threads do not survive.
        with three_nodes() as cluster:
            for command in commands:
                _call(command, here, None)
            harms = _harms(cluster)
            for command in commands:
                _call(command, there, cluster.address, harms.get(command))
            # Vectors differ by float noise: models are compared where these are the very same.
            copy = f"{folder}/copy"
            _call(f"backup {copy}", there, None)
            _call(f"{_BENCHMARK} --jobs 2", copy, None)
            _call(f"{_BENCHMARK} --jobs 3", there, cluster.address)
            differ = _compared(FeatureStore.open(here), FeatureStore.open(there))
            differ += _compared_models(FeatureStore.open(copy), FeatureStore.open(there))
    sys.exit(1 if differ else 0)


def _commands(chosen: Path, described: int) -> list[str]:
    some = f"material_id IN (SELECT material_id FROM materials ORDER BY 1 LIMIT {described})"
    return [
        "ingest sample",
        f"ingest structures {chosen} --dataset chosen",
        _SPLIT,
        _CHEMNLP,
        f'ingest text --text robocrystallographer --where "{some}"',
        "ingest embeddings --encoder alignn-ff",
        "ingest embeddings --encoder minilm --text chemnlp",
        "ingest duplicates",
    ]


def _chosen(archive: Path, n: int, seed: int, folder: Path) -> Path:
    """An archive of random entries of another."""
    with zipfile.ZipFile(archive) as opened:
        entries = json.loads(opened.read(opened.namelist()[0]))
    path = folder / "chosen.json"
    path.write_text(json.dumps(random.Random(seed).sample(entries, n)), "utf-8")
    return path


def _call(
    command: str,
    store: str,
    address: str | None,
    harm: Callable[[threading.Event], str] | None = None,
) -> None:
    words = [*shlex.split(command), "--store", store]
    takes_cluster = command.startswith(("ingest text", "ingest emb", "ingest dup", "train"))
    if address is not None and (takes_cluster or command.startswith("ingest structures")):
        words += ["--ray", address]
    done: list[str] = []
    over = threading.Event()
    harming = threading.Thread(target=lambda: done.append(harm(over) if harm else ""))
    began = time.monotonic()
    harming.start()
    result = CliRunner().invoke(root, words, catch_exceptions=False)
    seconds = time.monotonic() - began
    over.set()
    harming.join()
    assert result.exit_code == 0, result.output + result.stderr
    where = "here" if address is None else "cluster"
    first = command if len(command) < 60 else command[:57] + "..."
    print(f"{seconds:6.0f} s  {where:8}{first}{done[0] and f' [{done[0]}]'}", flush=True)
    if command.startswith("ingest") and "splits" not in command:
        print(f"{'':10}{result.stdout.splitlines()[0]}", flush=True)


def _harms(cluster: Any) -> dict[str, Callable[[threading.Event], str]]:
    """What is done during which command."""

    def kill_a_worker(over: threading.Event) -> str:
        pid = _at_work(None, over)
        if pid:
            os.kill(pid, signal.SIGKILL)
        return "a worker killed" if pid else "no worker at work"

    def kill_a_node(over: threading.Event) -> str:
        node = cluster.list_all_nodes()[-1]
        if not _at_work(processes(node, "raylet")[0], over):
            return "no worker at work"
        cluster.remove_node(node, allow_graceful=False)
        return "a node killed"

    return {_CHEMNLP: kill_a_worker, "ingest embeddings --encoder alignn-ff": kill_a_node}


def _at_work(raylet: int | None, over: threading.Event) -> int:
    """The first process that works for the pool, of one node or any; 0 if the command was over."""
    while not over.wait(0.05):
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                title = (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if title.startswith(b"ray::Worker.work") and raylet in (None, parent):
                return int(entry.name)
    return 0


def _compared(here: FeatureStore, there: FeatureStore) -> int:
    """Print how the rows of two stores differ; the number of tables that do."""
    names = {*here.tables(), *there.tables()}
    vectors = sorted(name for name in names if "embeddings" in name)
    plain = ("materials", "structures", "properties", "splits", "sentences", "duplicates")
    differ = 0
    for name in (*(one for one in plain if one in names), *vectors, "failures"):
        a, b = _rows(here, name), _rows(there, name)
        if name in vectors:
            keys = a.drop(["vector"]).equals(b.drop(["vector"]))
            x, y = (np.stack(rows["vector"].to_pylist()) for rows in (a, b))
            noise = np.abs(x - y).max() if x.shape == y.shape else np.inf
            largest = np.abs(x).max()
            said = f"keys equal: {keys}, vectors to {noise:.1e} of {largest:.2g}"
            print(f"{name}: {len(a)} rows, {said}")
            differ += not keys or noise > 1e-4 * largest
        else:
            print(f"{name}: {len(a)} rows, equal: {a.equals(b)}")
            differ += not a.equals(b)
    return differ


def _rows(store: FeatureStore, name: str) -> pa.Table:
    """The rows in one order, without what tells one run from another."""
    dataset = store.dataset(name)
    if dataset is None:
        return pa.table({"none": pa.array([], pa.int64())})
    rows = dataset.to_table()
    rows = rows.drop(
        [one for one in ("run_id", "ingested_at", "created_at", "at") if one in rows.column_names]
    )
    order = [
        (one.name, "ascending")
        for one in rows.schema
        if pa.types.is_string(one.type) or pa.types.is_integer(one.type)
    ]
    return rows.sort_by(order).combine_chunks()


def _compared_models(here: FeatureStore, there: FeatureStore) -> int:
    ours, theirs = (
        {
            row["model_id"]: row["weights"]
            for row in store.sql("SELECT model_id, weights FROM models").to_pylist()
        }
        for store in (here, there)
    )
    equal = ours == theirs
    print(f"models: {len(ours)} here, {len(theirs)} on the cluster, equal to the byte: {equal}")
    return int(not equal)


if __name__ == "__main__":
    main()
