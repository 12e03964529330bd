"""Time travel: a snapshot's view is the same by hash after 10,000 more materials and clean-up.

The materials are those of ``tests/synthetic_store.py``.

    python -m benchmarks.time_travel
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import lance

from featurestore.store import FeatureStore

sys.path.append(str(Path(__file__).parent.parent / "tests"))

import synthetic_store as toy


def new_encoder_version(store: FeatureStore) -> None:
    """Register a second version of the structure encoder, with a vector for every structure."""
    encoder_id = "toy_graph_00000000ff"
    [row] = store.sql("FROM encoders WHERE name = 'toy-graph'").to_pylist()
    store.merge_rows("encoders", [row | {"encoder_id": encoder_id, "created_at": _now()}])
    rows = store.sql(f'FROM "structure_embeddings__{toy.STRUCTURE_ENCODER}"')
    store.merge(f"structure_embeddings__{encoder_id}", rows)


def _now() -> datetime:
    return datetime.now(UTC)


@click.command()
@click.option("--before", default=500, show_default=True, help="Materials in the snapshot.")
@click.option("--after", default=10_000, show_default=True, help="Materials added later.")
def main(before: int, after: int) -> None:
    """Print both fingerprints; exit code 1 if they differ."""
    started = time.monotonic()
    request = toy.view_request("structure+text")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "store"
        store = toy.make_store(place, before)
        view = store.training_view(toy.PROPERTY, **request)
        store.create_snapshot("then")
        print(f"{'then':20} {len(view):6} rows  {view.fingerprint}")
        toy.make_store(place, before + after)
        grown = store.training_view(toy.PROPERTY, **request)
        new_encoder_version(store)
        for name in store.tables():
            dataset = lance.dataset(f"{store.uri}/{name}.lance")
            dataset.optimize.compact_files()
            dataset.cleanup_old_versions(
                timedelta(0), delete_unverified=True, error_if_tagged_old_versions=False
            )
        print(f"{'now':20} {len(grown):6} rows  {grown.fingerprint}")
        again = FeatureStore.open(place, at="then").training_view(toy.PROPERTY, **request)
        print(f"{'now, --at then':20} {len(again):6} rows  {again.fingerprint}")
    print(f"{time.monotonic() - started:.0f} s")
    same = again.fingerprint == view.fingerprint and again.table.equals(view.table)
    sys.exit(0 if same and grown.fingerprint != view.fingerprint else 1)


if __name__ == "__main__":
    main()
