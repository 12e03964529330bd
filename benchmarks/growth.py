"""Growth: a store of 1,000 small ingests, once maintained, against one that was written at once.

Every small ingest does what a stage does: it is recorded as a run, merges its rows into
``materials``, ``properties`` and one embedding table, and joins fragments. The rows are made up.

    python -m benchmarks.growth
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from featurestore.identity import text_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table, table_schema
from featurestore.upkeep.maintenance import maintain

ENCODER = "made_up_0123456789"
VECTORS = embedding_table("structure", ENCODER)
PROPERTY = "mbj_bandgap"
SPLIT = "made-up"
WIDTH = 256
TABLES = ("materials", "properties", VECTORS)
ALLOWED = 1.2
AGGREGATE = f"""
    SELECT crystal_system, p.property, count(*) AS n, avg(p.value) AS mean, max(m.volume) AS largest
    FROM materials m JOIN properties p USING (material_id) JOIN "{VECTORS}" e USING (structure_id)
    GROUP BY ALL ORDER BY ALL
"""


def ingest(store: FeatureStore, numbers: range) -> None:
    """Put the materials of these numbers into the store, as a run of its own."""
    with store.run("ingest made-up", {"first": numbers.start, "stop": numbers.stop}) as run:
        store.merge_rows("materials", [material(i) | {"run_id": run.run_id} for i in numbers])
        store.merge_rows("properties", [gap(i) | {"run_id": run.run_id} for i in numbers])
        rows = [embedding(i) | {"run_id": run.run_id} for i in numbers]
        store.merge(VECTORS, pa.Table.from_pylist(rows, schema=table_schema(VECTORS, WIDTH).schema))
        for table in TABLES:
            store.compact(table)
        run.counts["written"] = len(numbers)


def register(store: FeatureStore, materials: int) -> None:
    """Put the encoder and the split into the store."""
    encoder = {
        "encoder_id": ENCODER,
        "name": "made-up",
        "kind": "structure",
        "dimension": WIDTH,
        "segments": [{"name": "all", "start": 0, "stop": WIDTH}],
        "fingerprint": "{}",
        "created_at": datetime.now(UTC),
        "run_id": "made-up",
    }
    store.merge_rows("encoders", [encoder])
    folds = ("train", "train", "train", "val", "test")
    store.merge_rows(
        "splits",
        [
            {
                "split": SPLIT,
                "property": PROPERTY,
                "material_id": f"made-up-{i}",
                "fold": folds[i % len(folds)],
                "run_id": "made-up",
            }
            for i in range(materials)
        ],
    )


def material(number: int) -> dict[str, object]:
    """A material of 1 to 20 atoms, without its run."""
    random = np.random.default_rng(number)
    atoms = int(random.integers(1, 21))
    return {
        "material_id": f"made-up-{number}",
        "structure_id": structure_id(number),
        "dataset": "made-up",
        "source_file": f"{number}.json",
        "formula": f"Na{atoms}",
        "prototype": "A",
        "n_atoms": atoms,
        "volume": 20.0 * atoms,
        "space_group_number": 225,
        "space_group": "Fm-3m",
        "crystal_system": ("cubic", "tetragonal", "monoclinic")[number % 3],
        "point_group": "m-3m",
        "lattice": random.normal(size=9).tolist(),
        "species": ["Na"] * atoms,
        "frac_coords": random.random(3 * atoms).tolist(),
    }


def gap(number: int) -> dict[str, object]:
    """A band gap in eV, without its run."""
    value = float(np.random.default_rng(number).random())
    return {
        "material_id": f"made-up-{number}",
        "property": PROPERTY,
        "source": "made-up",
        "value": value,
        "unit": "eV",
    }


def embedding(number: int) -> dict[str, object]:
    """A vector of width 256, without its run."""
    vector = np.random.default_rng(number).normal(size=WIDTH).astype(np.float32)
    return {"structure_id": structure_id(number), "vector": vector.tolist()}


def structure_id(number: int) -> str:
    """As long as a real one."""
    return text_id(f"made-up-{number}")


def training_view(store: FeatureStore) -> object:
    """A view of all materials, with their vectors."""
    return store.training_view(
        PROPERTY, features="structure", structure_encoder="made-up", split=SPLIT
    )


def aggregate(store: FeatureStore) -> object:
    """Means by crystal system over the three tables."""
    return store.sql(AGGREGATE)


def size(store: FeatureStore, table: str) -> int:
    """Bytes of all files of a table, whichever version they belong to."""
    files = Path(f"{store.uri}/{table}.lance").rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def seconds(query: Callable[[FeatureStore], object], *stores: FeatureStore) -> list[float]:
    """Median time of a query in each store; they take turns, so that a busy machine hits all."""
    times: list[list[float]] = [[] for _ in stores]
    for _ in range(21):
        for taken, store in zip(times, stores, strict=True):
            started = time.perf_counter()
            query(FeatureStore.open(store.uri))
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken[1:]) for taken in times]  # the first is a warm-up


@click.command()
@click.option("--ingests", default=1000, show_default=True, help="Number of small ingests.")
@click.option("--rows", default=5, show_default=True, help="Materials in each.")
def main(ingests: int, rows: int) -> None:
    """Print sizes and times with their ratios; exit code 1 if one is above 1.2."""
    total = ingests * rows
    with tempfile.TemporaryDirectory() as folder:
        grown = FeatureStore.open(Path(folder) / "grown", create=True)
        started = time.monotonic()
        for first in range(0, total, rows):
            ingest(grown, range(first, first + rows))
        register(grown, total)
        print(f"{ingests} ingests of {rows} materials: {time.monotonic() - started:.0f} s")
        at_once = FeatureStore.open(Path(folder) / "at once", create=True)
        ingest(at_once, range(total))
        register(at_once, total)

        before = {table: size(grown, table) for table in grown.tables()}
        slow = [seconds(query, grown)[0] for query in (training_view, aggregate)]
        started = time.monotonic()
        for store in (grown, at_once):
            maintain(store, keep_days=0)
        print(f"maintain: {time.monotonic() - started:.1f} s")

        view, other_view = training_view(grown), training_view(at_once)
        same = len(view) == len(other_view) == total and aggregate(grown) == aggregate(at_once)
        print(f"{'':42} {'before':>10} {'maintained':>11} {'at once':>10} {'ratio':>6}")
        after = {table: (size(grown, table), size(at_once, table)) for table in grown.tables()}
        for table, (mine, theirs) in after.items():
            _print(f"{table}, kB", before[table] / 1e3, mine / 1e3, theirs / 1e3)
        # The record of 1,000 runs is content that the other store does not have.
        compared = [name for name in after if name != "runs"]
        sizes = [sum(after[name][side] for name in compared) for side in (0, 1)]
        ratios = [
            _print(
                "all but runs, kB",
                sum(before[name] for name in compared) / 1e3,
                *[value / 1e3 for value in sizes],
            )
        ]
        for name, query, earlier in (
            ("training view, ms", training_view, slow[0]),
            ("SQL aggregate, ms", aggregate, slow[1]),
        ):
            times = [1e3 * value for value in seconds(query, grown, at_once)]
            ratios.append(_print(name, 1e3 * earlier, *times))
    print(f"same rows: {same}; largest ratio {max(ratios):.2f}, allowed {ALLOWED}")
    sys.exit(0 if same and max(ratios) <= ALLOWED else 1)


def _print(name: str, before: float, maintained: float, at_once: float) -> float:
    ratio = maintained / at_once
    print(f"{name:42} {before:10.1f} {maintained:11.1f} {at_once:10.1f} {ratio:6.2f}")
    return ratio


if __name__ == "__main__":
    main()
