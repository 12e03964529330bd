"""A CSV file of millions of targets: processor time and memory of reading it into a store.

The store has few materials, and the file rows of others too: what is read must not be kept.

    python -m benchmarks.target_files             # 1 million rows
    python -m benchmarks.target_files --rows 10000000
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from benchmarks.growth import material
from benchmarks.options import peak_memory
from featurestore.store import FeatureStore
from ingest.library.targets import add_targets


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the file.")
@click.option("--materials", default=20_000, show_default=True, help="Materials in the store.")
def main(rows: int, materials: int) -> None:
    """Print the time and memory of reading a file with three columns."""
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.open(Path(folder) / "store", create=True)
        store.merge_rows(
            "materials", [material(i) | {"run_id": "made-up"} for i in range(materials)]
        )
        path = Path(folder) / "targets.csv"
        with path.open("w") as file:
            file.write("material_id;mbj_bandgap;comment;ehull\n")
            for number in range(rows):
                file.write(f"made-up-{number};{number % 977 / 100};made up;0.{number % 1000:03}\n")
        before, start, wall = peak_memory(), time.process_time(), time.perf_counter()
        outcome = add_targets(store, path).outcomes[0]
        print(f"file               {path.stat().st_size / 2**20:,.0f} MiB, {rows:,} rows")
        print(f"targets            {outcome.written:,} written, {outcome.failed:,} failed")
        print(f"processor time     {time.process_time() - start:.1f} s")
        print(f"wall time          {time.perf_counter() - wall:.1f} s")
        print(f"peak memory        {peak_memory() / 2**20:,.0f} MiB ({before / 2**20:,.0f} before)")
    wanted = 2 * min(rows, materials)
    if outcome.written != wanted or outcome.failed != 2 * rows - wanted:
        raise click.ClickException("not every cell is in one count")


if __name__ == "__main__":
    main()
