"""Queries over the metadata of a large store: how long they take warm, and what they read.

python -m benchmarks.metadata_query --real STORE
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.large_store import ENCODERS, PROPERTY, SPLIT, make_store
from benchmarks.options import real_option
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table

_ALLOWED_MS = 100.0
_VECTORS = embedding_table("structure", ENCODERS["structure"])
# The first is the one that the limit is for: a filter and an aggregate over every material.
_QUERIES = {
    "filter and count by crystal system": "SELECT crystal_system, count(*) AS n, avg(volume) AS v "
    "FROM materials WHERE n_atoms <= 4 GROUP BY ALL ORDER BY ALL",
    "count": "SELECT count(*) AS n FROM materials",
    "mean target": f"SELECT avg(value) AS v FROM properties WHERE property = '{PROPERTY}'",
    "one material": "SELECT formula, volume FROM materials WHERE material_id = 'made-up-0000007'",
    "target by crystal system (join)": "SELECT crystal_system, avg(value) AS v FROM materials "
    "JOIN properties USING (material_id) GROUP BY ALL ORDER BY ALL",
    "fold sizes of a view (joins)": f"SELECT fold, count(*) AS n FROM targets('{PROPERTY}', "
    f"split := '{SPLIT}') JOIN {_VECTORS} USING (structure_id) GROUP BY ALL ORDER BY ALL",
}


def measure(session: Session, sql: str, repeats: int) -> tuple[float, float, int]:
    """First and median warm time in ms, and the bytes that the first run read from the tables."""
    before = session.bytes_read()
    times = []
    for run in range(repeats + 1):
        started = time.perf_counter()
        session.read_only_query(sql)
        times.append(1e3 * (time.perf_counter() - started))
        if run == 0:
            read = session.bytes_read() - before
    return times[0], statistics.median(times[1:]), read


@click.command()
@click.option("--materials", default=1_000_000, show_default=True, help="Rows.")
@click.option("--width", default=768, show_default=True, help="Of the structure vectors.")
@click.option("--repeats", default=7, show_default=True, help="Warm runs of each query.")
@real_option
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the store here.")
def main(materials: int, width: int, repeats: int, real: Path | None, folder: Path | None) -> None:
    """Print times and bytes; exit code 1 if the first query takes over 100 ms warm."""
    with tempfile.TemporaryDirectory() as temporary:
        place = (folder or Path(temporary)) / "store"
        if not place.exists():
            print(make_store(place, materials, width, real, texts=False))
        store = FeatureStore.open(place)
        dataset = store.dataset(_VECTORS)
        assert dataset is not None
        rows, wide = dataset.count_rows(), dataset.schema.field("vector").type.list_size
        vectors = 4 * wide * rows
        opening = []
        for _ in range(repeats):
            started = time.perf_counter()
            with store.session():
                opening.append(1e3 * (time.perf_counter() - started))
        print(f"{rows:,} materials, {vectors / 1e6:,.0f} MB of vectors")
        print(f"opening a session: {statistics.median(opening):.0f} ms")
        print(f"{'query':38} {'first ms':>9} {'warm ms':>8} {'read MB':>8} {'of vectors':>11}")
        found = {}
        with store.session() as session:
            for name, sql in _QUERIES.items():
                first, warm, read = measure(session, sql, repeats)
                found[name] = (warm, read)
                print(
                    f"{name:38} {first:9.1f} {warm:8.1f} {read / 1e6:8.1f} {read / vectors:11.2%}"
                )
    warm = next(iter(found.values()))[0]
    untouched = all(read < vectors / 10 for _, read in found.values())
    print(f"the first query: {warm:.0f} ms warm, allowed {_ALLOWED_MS:.0f}")
    print(f"every query read less than a tenth of the vectors: {untouched}")
    sys.exit(0 if warm <= _ALLOWED_MS and untouched else 1)


if __name__ == "__main__":
    main()
