"""Robocrystallographer texts, ours against the plain library on the same structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.options import sample_options
from benchmarks.plain_texts import plain_robocrystallographer
from benchmarks.text_comparison import choose, run
from featurestore.crystal import Crystal
from ingest.text.base import Sentence
from ingest.text.registry import generator

STEPS = {
    "symmetry": "get_symmetry_dataset",
    "standard cell": "get_conventional_standard_structure",
    "neighbours (Voronoi cells)": "_faces_within",
    "order parameters": "_site_fingerprint",
    "next nearest neighbours": "_find_next_nearest_neighbors",
    "minerals: prototypes": "_matching_prototypes",
    "connected components": "get_structure_components",
    "words": "get_all_component_descriptions",
}


def ours() -> Callable[[Crystal], list[Sentence]]:
    """The generator, loaded."""
    made = generator("robocrystallographer")
    made.warm_up()
    return made.describe


def plain() -> Callable[[Crystal], str]:
    """The library, imported."""
    import robocrys  # noqa: F401

    return plain_robocrystallographer


@click.command()
@sample_options
@click.option("--workers", default=1, show_default=True, help="Processes for each way.")
def main(archive: Path, n: int, seed: int, workers: int) -> None:
    """Compare texts, CPU time and memory; the exit code is 1 where a text differs."""
    run("robocrystallographer", ours, plain, STEPS, choose(archive, n, seed), workers)


if __name__ == "__main__":
    main()
