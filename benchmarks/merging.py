"""Merging: what writing 5,000 sentences costs as the table grows, and finding that all are there.

The rows are made up: ten sentences a structure. A table's first rows come by the store's own merge,
which marks its key; the rest is appended by Lance, since only the last writes are measured. Of a
process the first write looks through the keys of the table and the second makes hashes of them;
from then on none is read twice.

    python -m benchmarks.merging
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import lance
import pyarrow as pa

from benchmarks.options import peak_memory, processor_time
from featurestore.identity import text_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import TABLES

BATCH = 5_000
_A_STRUCTURE = 10
_A_FRAGMENT = 100_000
_TURNS = 5


def sentences(numbers: range) -> pa.Table:
    """Made-up rows of these numbers."""
    n = len(numbers)
    columns = {
        "structure_id": [text_id(f"made-up-{i // _A_STRUCTURE}") for i in numbers],
        "generator_id": ["robocrystallographer_0000000001"] * n,
        "position": [i % _A_STRUCTURE for i in numbers],
        "tag": ["bond length"] * n,
        "reference_tags": [["bond length"]] * n,
        "sentence": [f"All bonds of number {i} are as long as the others." for i in numbers],
        "run_id": ["20260101T000000-00000000"] * n,
    }
    return pa.table(columns, schema=TABLES["sentences"].schema)


def measure(rows: int) -> str:
    """A line for a table of so many rows, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.open(Path(folder) / "store", create=True)
        store.merge("sentences", sentences(range(_A_STRUCTURE)))
        for first in range(_A_STRUCTURE, rows, _A_FRAGMENT):
            dataset = store.dataset("sentences")
            assert dataset is not None
            some = sentences(range(first, min(first + _A_FRAGMENT, rows)))
            lance.write_dataset(some.cast(dataset.schema), dataset.uri, mode="append")
        before = peak_memory()
        batches = [
            sentences(range(first, first + BATCH))
            for first in range(rows, rows + _TURNS * BATCH, BATCH)
        ]
        news = [_seconds(partial(_written, store, batch), BATCH) for batch in batches]
        nothings = [_seconds(partial(_present, store, batch), BATCH) for batch in batches]
        later, nothing = statistics.median(news[2:]), statistics.median(nothings)
        more = (peak_memory() - before) / 1e6
        costs = (*news[:2], later, nothing)
        return f"{rows:>10,}" + "".join(f"  {one:>7.3f}" for one in costs) + f"  {more:>13,.0f}"


def _written(store: FeatureStore, rows: pa.Table) -> int:
    return store.merge("sentences", rows).written


def _present(store: FeatureStore, rows: pa.Table) -> int:
    return store.merge("sentences", rows).present


def _seconds(action: Callable[[], int], expected: int) -> float:
    began = processor_time()
    done = action()
    seconds = processor_time() - began
    if done != expected:
        raise RuntimeError(f"{done} rows in place of {expected}")
    return seconds


@click.command()
@click.option("--rows", type=int, multiple=True, default=(10_000, 200_000, 2_000_000))
@click.option("--one", type=int, hidden=True)
def main(rows: tuple[int, ...], one: int | None) -> None:
    """Measure tables of some sizes; CPU seconds of later writes are medians."""
    if one is not None:
        print(measure(one))
        return
    print(f"CPU seconds of merging {BATCH:,} sentences, and what it adds to the peak of memory")
    print("      rows    first   second    later  present  MB added to it")
    for count in rows:
        command = [sys.executable, "-m", "benchmarks.merging", "--one", str(count)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


if __name__ == "__main__":
    main()
