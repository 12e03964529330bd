"""The first search by words in a process: a rare word, and words that every text holds.

The texts are made up, ten sentences each (`benchmarks.large_store`).

    python -m benchmarks.word_search
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.large_store import SOURCE, make_store
from benchmarks.options import processor_time
from featurestore.search.hits import Among, HoldsWords
from featurestore.search.questions import texts_of
from featurestore.store import FeatureStore

QUERIES = ("9999", "unheard", "bonded", "distorted square-planar geometry")


@click.command()
@click.option("--n", default=31_000, show_default=True, help="Number of texts.")
def main(n: int) -> None:
    """Print the CPU seconds of each first search."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "store"
        make_store(place, n, 8, None)
        print(f"CPU seconds of the first search by words among {n:,} texts")
        for query in QUERIES:
            store = FeatureStore.open(place)
            began = processor_time()
            with store.session() as session:
                question = HoldsWords(query, *texts_of(session, SOURCE, "full"))
                hits = store.search.find(session, [question], Among(10))
            print(f"{processor_time() - began:6.2f}  {len(hits):>3} hits  {query}")


if __name__ == "__main__":
    main()
