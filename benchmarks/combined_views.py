"""A view of five features against the two-feature view: time and memory, for the view and a row.

The five are two structure encoders, a segment, a text and a number by SQL. Each view is made in a
process of its own; imports are outside of the timing.

    python -m benchmarks.combined_views
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.large_store import ENCODERS, PROPERTY, REQUEST, SOURCE, SPLIT, make_store
from benchmarks.options import peak_memory
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table

OTHER = "other_graph_0000000003"
TWO = {name: REQUEST[name] for name in ("structure_encoder", "text_source", "text_encoder")}
FIVE = {
    "inputs": (
        ENCODERS["structure"],
        f"{OTHER}.first",
        f"{OTHER}.second",
        f"{ENCODERS['text']}:{SOURCE}",
        "sql:volume / n_atoms",
    )
}
VIEWS = {"two": TWO, "five": FIVE}


def add_encoder(store: FeatureStore, width: int) -> None:
    """A second structure encoder, of two segments."""
    row = store.sql("FROM encoders WHERE kind = 'structure'").to_pylist()[0]
    half = width // 2
    segments = [
        {"name": "first", "start": 0, "stop": half},
        {"name": "second", "start": half, "stop": width},
    ]
    store.merge_rows(
        "encoders", [row | {"encoder_id": OTHER, "name": "other-graph", "segments": segments}]
    )
    dataset = store.dataset(embedding_table("structure", ENCODERS["structure"]))
    assert dataset is not None
    store.merge(embedding_table("structure", OTHER), dataset.to_table())


def measure_here(name: str, folder: Path) -> dict[str, float]:
    """Time and peak memory of one view in this process; call it once."""
    import duckdb  # noqa: F401
    import lance  # noqa: F401

    store = FeatureStore.open(folder / "store")
    imported, started, worked = peak_memory(), time.perf_counter(), time.process_time()
    view = store.training_view(PROPERTY, split=SPLIT, **VIEWS[name])
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "above": peak_memory() - imported,
        "bytes": view.features.nbytes,
        "rows": len(view),
        "width": view.features.shape[1],
    }


@click.command()
@click.option("--materials", default=76_000, show_default=True, help="Rows of the views.")
@click.option("--width", default=768, show_default=True, help="Of each vector.")
@click.option("--repeats", default=3, show_default=True, help="Processes for each view.")
@click.option("--view", type=click.Choice(list(VIEWS)), hidden=True)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(materials: int, width: int, repeats: int, view: str | None, folder: Path | None) -> None:
    """Print the medians of both views."""
    if view is not None:
        assert folder is not None
        print(json.dumps(measure_here(view, folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        print(make_store(Path(temporary) / "store", materials, width, None))
        add_encoder(FeatureStore.open(Path(temporary) / "store"), width)
        for name in VIEWS:
            command = [sys.executable, "-m", "benchmarks.combined_views", "--view", name]
            runs = [
                json.loads(
                    subprocess.run(
                        [*command, "--folder", temporary],
                        check=True,
                        capture_output=True,
                        text=True,
                    ).stdout
                )
                for _ in range(repeats)
            ]
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            rows = middle["rows"]
            above = middle["above"]
            print(
                f"{name} features: {rows:,.0f} × {middle['width']:.0f}, {middle['seconds']:.2f} s, "
                f"{middle['cpu']:.2f} CPU s ({1e6 * middle['cpu'] / rows:.1f} µs a row), peak "
                f"above the imports {above / 1e6:.0f} MB, {above / middle['bytes']:.2f} of the "
                "result"
            )


if __name__ == "__main__":
    main()
