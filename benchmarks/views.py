"""A training view to torch tensors: the store's way, the paper's way, and a bare read of the bytes.

The paper's way is two CSV files of vectors and one of targets, read and merged by pandas. Its files
and the bare one are written first, outside of the timing. Each way runs in a process of its own;
imports are outside of the timing, and memory is stated with and without what they take.

    python -m benchmarks.views --real STORE
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.large_store import ENCODERS, PROPERTY, REQUEST, make_store
from benchmarks.options import peak_memory, real_option
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table

_TIMES_FASTER = 12.0
_MEMORY = 1.7
_ROWS = 4096


def store_way(folder: Path) -> tuple[Any, Any]:
    """`FeatureStore.training_view`, SQL over sentences, targets and folds included."""
    return FeatureStore.open(folder / "store").training_view(PROPERTY, **REQUEST).to_torch()


def paper_way(folder: Path) -> tuple[Any, Any]:
    """Read three CSV files and merge them by id."""
    import pandas as pd
    import torch

    frame = pd.read_csv(folder / "targets.csv")
    for kind in ENCODERS:
        frame = frame.merge(pd.read_csv(folder / f"{kind}.csv"), on="id")
    frame = frame.sort_values("id")
    features = frame[[name for name in frame.columns if name.startswith("x")]].to_numpy(np.float32)
    return torch.from_numpy(features), torch.from_numpy(frame["target"].to_numpy(np.float32))


def bare_way(folder: Path) -> tuple[Any, Any]:
    """Read the finished matrix from one file, in order."""
    import torch

    targets = np.fromfile(folder / "targets.bin", np.float32)
    features = np.fromfile(folder / "features.bin", np.float32).reshape(len(targets), -1)
    return torch.from_numpy(features), torch.from_numpy(targets)


_WAYS: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    "store": store_way,
    "paper": paper_way,
    "bare read": bare_way,
}


def write_files(folder: Path) -> None:
    """Write what the paper's way and the bare read start from."""
    import pyarrow as pa
    from pyarrow import csv

    store = FeatureStore.open(folder / "store")
    view = store.training_view(PROPERTY, **REQUEST)
    view.features.tofile(folder / "features.bin")
    view.targets.astype(np.float32).tofile(folder / "targets.bin")
    ids = pa.array(view.material_ids)
    csv.write_csv(
        pa.table({"id": ids, "target": view.targets, "fold": view.rows["fold"]}),
        folder / "targets.csv",
    )
    # The files of the two encoders are in another order, as they come from other programs.
    order = np.random.default_rng(0).permutation(len(view))
    half = view.features.shape[1] // 2
    for part, kind in enumerate(ENCODERS):
        names = ["id", *(f"x{part}_{column}" for column in range(half))]
        schema = pa.schema([(names[0], pa.string()), *((name, pa.float32()) for name in names[1:])])
        with csv.CSVWriter(folder / f"{kind}.csv", schema) as writer:
            for first in range(0, len(order), _ROWS):
                rows = order[first : first + _ROWS]
                block = view.features[rows, part * half : (part + 1) * half]
                columns = [ids.take(pa.array(rows)), *(pa.array(c) for c in block.T.copy())]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def measure_here(way: str, folder: Path) -> dict[str, Any]:
    """Time and peak memory of one way in this process; call it once."""
    import duckdb  # noqa: F401
    import lance  # noqa: F401
    import pandas  # noqa: F401
    import torch  # noqa: F401

    imported = peak_memory()
    started, worked = time.perf_counter(), time.process_time()
    features, targets = _WAYS[way](folder)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "imports": imported,
        "peak": peak_memory(),
        "bytes": features.nbytes + targets.nbytes,
        "check": [float(features.double().sum()), float(targets.double().sum()), len(targets)],
    }


def measure(way: str, folder: Path, repeats: int) -> dict[str, Any]:
    """Median time and highest peak of one way, each time in a new process."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-m", "benchmarks.views", "--way", way, "--folder", str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout))
    times = {name: statistics.median(run[name] for run in runs) for name in ("seconds", "cpu")}
    return runs[0] | times | {name: max(run[name] for run in runs) for name in ("imports", "peak")}


@click.command()
@click.option("--materials", default=76_000, show_default=True, help="Rows of the view.")
@click.option("--width", default=768, show_default=True, help="Of each of the two vectors.")
@click.option("--repeats", default=3, show_default=True, help="Processes for each way.")
@real_option
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the files here.")
@click.option("--way", type=click.Choice(list(_WAYS)), hidden=True)
def main(
    materials: int,
    width: int,
    repeats: int,
    real: Path | None,
    folder: Path | None,
    way: str | None,
) -> None:
    """Print times and memory; exit code 1 if the store's way misses its targets."""
    if way is not None:
        assert folder is not None
        print(json.dumps(measure_here(way, folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        if not (place / "store").exists():
            print(make_store(place / "store", materials, width, real))
        if not (place / "targets.bin").exists():
            write_files(place)
        store = FeatureStore.open(place / "store")
        tables = [store.dataset(embedding_table(kind, name)) for kind, name in ENCODERS.items()]
        print(f"fragments of the two tables: {[len(t.get_fragments()) for t in tables if t]}")
        found = {name: measure(name, place, repeats) for name in _WAYS}
    ours, paper, bare = found["store"], found["paper"], found["bare read"]
    rows = ours["check"][2]
    print(f"{rows:,} rows, result {ours['bytes'] / 1e6:.0f} MB; median of {repeats} processes")
    _print_row("way", ["s", "CPU s", "peak MB", "imports MB", "/ result", "without"])
    for name, run in found.items():
        above = run["peak"] - run["imports"]
        numbers = [run["seconds"], run["cpu"], run["peak"] / 1e6, run["imports"] / 1e6]
        numbers += [run["peak"] / run["bytes"], above / run["bytes"]]
        _print_row(name, [f"{number:.2f}" for number in numbers])
    same = all(np.allclose(run["check"], ours["check"], rtol=1e-6) for run in found.values())
    faster = paper["seconds"] / ours["seconds"]
    memory = (ours["peak"] - ours["imports"]) / ours["bytes"]
    print(f"same sums: {same}")
    print(f"faster than the paper's way: {faster:.1f} (target {_TIMES_FASTER:g})")
    print(f"slower than the bare read: {ours['seconds'] / bare['seconds']:.1f}")
    print(f"peak memory above the imports: {memory:.2f} of the result (target {_MEMORY:g})")
    sys.exit(0 if same and faster >= _TIMES_FASTER and memory <= _MEMORY else 1)


def _print_row(name: str, cells: list[str]) -> None:
    print(f"{name:12}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
