"""Merging: what writing 5,000 sentences costs as the table grows, and finding that all are there.

The rows are made up: ten sentences a structure. A table's first rows come by the store's own merge,
which marks its key; the rest is appended by Lance, since only the last writes are measured.

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
_TURNS = 3


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
        news, nothings = [], []
        for turn in range(_TURNS):
            first = rows + turn * BATCH
            batch = sentences(range(first, first + BATCH))
            news.append(_seconds(partial(_written, store, batch), BATCH))
            nothings.append(_seconds(partial(_present, store, batch), BATCH))
        new, nothing = statistics.median(news), statistics.median(nothings)
        more = (peak_memory() - before) / 1e6
        return f"{rows:>10,}  {new:>7.3f}  {nothing:>7.3f}  {more:>13,.0f}"


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
    """Measure tables of some sizes; CPU seconds are medians of three writes."""
    if one is not None:
        print(measure(one))
        return
    print(f"CPU seconds of merging {BATCH:,} sentences, and what it adds to the peak of memory")
    print("      rows      new  present  MB added to it")
    for count in rows:
        command = [sys.executable, "-m", "benchmarks.merging", "--one", str(count)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


if __name__ == "__main__":
    main()
