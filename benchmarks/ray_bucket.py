"""A cluster and a store in a bucket: two drivers into one store, and workers that write models.

    python -m benchmarks.ray_bucket

The bucket is of a local S3 server (moto), which counts what it is asked. Two drivers describe the
bundled sample at the same time, each with a worker of a cluster of three nodes; then workers train
a benchmark of made-up materials and store its models themselves. All is compared with the same on
the disk, by this machine's processes.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import click
import pyarrow as pa
from click.testing import CliRunner

from benchmarks.large_store import ENCODERS, PROPERTY, SPLIT, make_store
from benchmarks.ray_cluster import three_nodes
from benchmarks.s3_requests import Counting, bucket_of
from featurestore.cli.root import root
from featurestore.store import FeatureStore

_TEXT = "ingest text --text chemnlp"
_BENCHMARK = (
    f"train benchmark --property {PROPERTY} --split {SPLIT} --structure-encoder "
    f"{ENCODERS['structure']} --predictor mlp --set mlp.max_epochs=5 --seeds 4 --jobs 2"
)
_MATERIALS, _WIDTH = 200, 16
# Megabytes: the view and the catalogue of each worker and of the driver, and no model but the own.
_MOST_READ = 20.0


@click.command()
def main() -> None:
    """Print seconds, requests and bytes, and whether rows are equal; exit code 1 if not.

    Nor may the training read more than 20 MB: what it writes is its models, 21 MB each, and once
    more one that another has come before.
    """
    counting = Counting()
    with (
        tempfile.TemporaryDirectory() as folder,
        bucket_of(counting) as bucket,
        three_nodes() as cluster,
    ):
        ray = f"--ray {cluster.address}"
        here, there = f"{folder}/here", f"{bucket}/texts"
        for store in (here, there):
            _run("ingest sample", store)
        _run(_TEXT, here)
        _counted(
            counting, "two drivers", lambda: _together([f"{_TEXT} {ray} --workers 1"] * 2, there)
        )
        equal = _sentences(here).equals(_sentences(there))
        print(f"{_sentences(there).num_rows:,} sentences, equal: {equal}")
        here, there = f"{folder}/models", f"{bucket}/models"
        for store in (here, there):
            make_store(store, _MATERIALS, _WIDTH, None, texts=False)
        _run(_BENCHMARK, here)
        read = _counted(counting, "workers that train", lambda: _run(f"{_BENCHMARK} {ray}", there))
        ours, theirs = _models(here), _models(there)
        print(f"{len(theirs)} models, equal to the byte: {ours == theirs}")
    sys.exit(not (equal and ours == theirs and read < _MOST_READ))


def _counted(counting: Counting, what: str, action: Callable[[], None]) -> float:
    """Print what an action asks of the bucket; the megabytes that it reads."""
    counting.begin()
    began = time.monotonic()
    action()
    writes = counting.methods["PUT"] + counting.methods["POST"]
    reads = counting.methods.total() - writes
    read, written = counting.read / 1e6, counting.written / 1e6
    seconds = time.monotonic() - began
    sizes = f"{read:.1f} MB read, {written:.1f} written"
    print(f"{what}: {seconds:.0f} s, {reads} reads, {writes} writes, {sizes}", flush=True)
    return read


def _run(command: str, store: str) -> None:
    words = [*shlex.split(command), "--store", store]
    result = CliRunner().invoke(root, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output + result.stderr


def _together(commands: list[str], store: str) -> None:
    program = "from featurestore.cli import main; main()"
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", program, *shlex.split(command), "--store", store],
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    for driver in drivers:
        said, _ = driver.communicate(timeout=1800)
        assert driver.returncode == 0, said
        print(f"  {said.splitlines()[0]}", flush=True)


def _sentences(uri: str) -> pa.Table:
    return FeatureStore.open(uri).sql(
        "SELECT structure_id, generator_id, position, tag, sentence FROM sentences ORDER BY ALL"
    )


def _models(uri: str) -> dict[str, bytes]:
    rows = FeatureStore.open(uri).sql("SELECT model_id, weights FROM models").to_pylist()
    return {row["model_id"]: row["weights"] for row in rows}


if __name__ == "__main__":
    main()
