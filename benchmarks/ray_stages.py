"""Every stage on a Ray cluster of three nodes and on this machine alone: the same rows?

    python -m benchmarks.ray_stages --archive jdft_3d.json.zip --n 300 --described 100

The bundled sample and random structures of an archive are described by both sources, encoded, and
learned from, in two stores: one by this machine's own processes, one by a cluster, of which workers
are killed while they describe and train, and nodes while they encode and cross-validate. Vectors
differ by float noise, so that models are compared where these are the very same: the cluster's
store, before it has learned, is copied for this machine. At the end all rows are compared, models
to the byte. With --folder the same command goes on after an interruption.
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

_PROPERTY = "formation_energy_peratom"
_SPLITS = (
    f"ingest splits --random 80/10/10 --seed 0 --property {_PROPERTY} --name drawn",
    f"ingest splits --folds 3 --property {_PROPERTY} --name cv3",
)
_TARGET = f"--property {_PROPERTY} --property-source chosen --structure-encoder alignn-ff"
_BENCHMARK = (
    f"train benchmark {_TARGET} --split drawn --text chemnlp --text robocrystallographer "
    "--text-encoder minilm --predictor mlp --predictor gbt --predictor mean "
    "--set mlp.max_epochs=20 --set gbt.max_epochs=100 --seeds 2"
)
_CROSS_VALIDATION = (
    f"train cross-validate mlp {_TARGET} --split cv3 --features structure --set max_epochs=20"
)
_MODEL = (
    "SELECT model_id FROM models WHERE predictor = 'mlp' AND features = 'structure+text' "
    "AND generator_id LIKE 'chemnlp%' AND seed = 0"
)
_CHEMNLP = "ingest text --text chemnlp"
_ROBOCRYSTALLOGRAPHER = "ingest text --text robocrystallographer"
_ALIGNN = "ingest embeddings --encoder alignn-ff"
_SOURCE = (
    "train source --property ehull --limit 60 --epochs 1 --alignn-layers 1 --gcn-layers 1 "
    "--hidden-features 16"
)
_NEW = 20


@click.command()
@sample_options
@click.option("--described", default=30, show_default=True, help="By Robocrystallographer.")
@click.option("--folder", help="Where the stores stay, so that the same command goes on.")
def main(archive: Path, n: int, seed: int, described: int, folder: str | None) -> None:
    """Run every stage both ways and print its seconds; exit code 1 where rows differ."""
    # The cluster first: a node is forked, which Lance's threads do not survive.
    with (
        tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as folder,
        three_nodes() as cluster,
    ):
        drawn = _drawn(archive, n, seed, Path(folder))
        differ = _both_ways(Path(folder), drawn, described, cluster)
    sys.exit(1 if differ else 0)


def _both_ways(folder: Path, drawn: Path, described: int, cluster: Any) -> int:
    """Fill and learn from the stores in a folder; the number of tables that differ."""
    here, there, copy = (f"{folder}/{name}" for name in ("here", "there", "copy"))
    harms = _harms(cluster)
    commands = _commands(drawn, described)
    for command in commands:
        _call(command, here, None)
    for command in commands:
        _call(command, there, cluster.address, harms.get(command))
    # A copy that has begun to learn is no longer an earlier state of its original.
    if not Path(copy, "models.lance").exists():
        if differ := _compared(FeatureStore.open(here), FeatureStore.open(there)):
            return differ
        _call(f"backup {copy}", there, None)
    for command in (_BENCHMARK, _CROSS_VALIDATION):
        _call(f"{command} --jobs 2", copy, None)
        _call(f"{command} --jobs 3", there, cluster.address, harms.get(command))
    differ = _compared_models(FeatureStore.open(copy), FeatureStore.open(there))
    models = [folder / name / "model.safetensors" for name in ("source-here", "source-there")]
    for model, store, address in zip(models, (copy, there), (None, cluster.address), strict=True):
        if not model.exists():
            _call(f"{_SOURCE} -o {model.parent}", store, address)
    source, other = (model.read_bytes() for model in models)
    print(f"the source model: {len(source):,} bytes, equal to the byte: {source == other}")
    model_id = FeatureStore.open(there).sql(_MODEL).to_pylist()[0]["model_id"]
    for command in (
        f"predict materials {drawn}/predicted.json --dataset predicted --model {model_id}",
        f"screen candidates {drawn}/screened.json --dataset screened --model {model_id} "
        f'--want "minimise {_PROPERTY}" --budget 5',
    ):
        _call(command, copy, None)
        _call(command, there, cluster.address)
    differ += _compared(FeatureStore.open(copy), FeatureStore.open(there))
    return differ + (source != other)


def _commands(drawn: Path, described: int) -> list[str]:
    chosen = "SELECT material_id FROM materials ORDER BY dataset <> 'chosen', material_id"
    some = f"material_id IN ({chosen} LIMIT {described})"
    return [
        "ingest sample",
        f"ingest structures {drawn}/chosen.json --dataset chosen",
        *_SPLITS,
        _CHEMNLP,
        f'{_ROBOCRYSTALLOGRAPHER} --where "{some}"',
        _ALIGNN,
        "ingest embeddings --encoder minilm --text chemnlp",
        "ingest embeddings --encoder minilm --text robocrystallographer",
        "ingest duplicates",
    ]


def _drawn(archive: Path, n: int, seed: int, folder: Path) -> Path:
    """A folder with archives of random entries of another: to be stored, predicted and screened."""
    with zipfile.ZipFile(archive) as opened:
        entries = json.loads(opened.read(opened.namelist()[0]))
    entries = random.Random(seed).sample(entries, n + 2 * _NEW)
    parts = {"chosen": entries[:n], "predicted": entries[n:-_NEW], "screened": entries[-_NEW:]}
    for name, part in parts.items():
        (folder / f"{name}.json").write_text(json.dumps(part), "utf-8")
    return folder


def _call(
    command: str,
    store: str,
    address: str | None,
    harm: Callable[[threading.Event], str] | None = None,
) -> None:
    words = [*shlex.split(command), "--store", store]
    if address is not None and not command.startswith(("ingest sample", "ingest splits")):
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

    return {
        _CHEMNLP: kill_a_worker,
        _ALIGNN: kill_a_node,
        _BENCHMARK: kill_a_worker,
        _CROSS_VALIDATION: kill_a_node,
    }


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
    plain = ("materials", "properties", "splits", "sentences", "duplicates", "failures")
    differ = _compared_forecasts(here, there) if "forecasts" in names else 0
    for name in (*plain, *vectors):
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


def _compared_forecasts(here: FeatureStore, there: FeatureStore) -> int:
    """Print how far the values of two stores' forecasts are apart; whether they are other ones."""
    a, b = (
        store.sql("SELECT material_id, group_id, prediction FROM forecasts ORDER BY ALL")
        for store in (here, there)
    )
    keys = a.drop(["prediction"]).equals(b.drop(["prediction"]))
    x, y = (rows["prediction"].to_numpy() for rows in (a, b))
    noise = np.abs(x - y).max() if x.shape == y.shape else np.inf
    print(f"forecasts: {len(a)} rows, keys equal: {keys}, values to {noise:.1e} eV/atom")
    return int(not keys or noise > 1e-4)


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
