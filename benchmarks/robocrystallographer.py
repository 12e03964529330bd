"""Robocrystallographer texts, ours against the plain library on the same structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.plain_texts import plain_robocrystallographer
from benchmarks.text_comparison import choose, compare, hot_spots, measure, tag_table
from featurestore.crystal import Crystal
from ingest.sample import sample_archive
from ingest.text import generator
from ingest.text.base import Sentence

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
@click.option(
    "--archive",
    type=click.Path(path_type=Path, exists=True),
    default=sample_archive,
    help="A JARVIS archive; the bundled sample by default.",
)
@click.option("--n", default=500, show_default=True, help="Number of random structures.")
@click.option("--seed", default=0, show_default=True, help="Seed of the choice.")
@click.option("--workers", default=1, show_default=True, help="Processes for each way.")
def main(archive: Path, n: int, seed: int, workers: int) -> None:
    """Compare texts, CPU time and memory; the exit code is 1 where a text differs."""
    chosen = choose(archive, n, seed)
    crystals = [crystal for _, crystal in chosen]
    names = [name for name, _ in chosen]
    fast = measure(ours, crystals, workers)
    equal = compare(names, fast, measure(plain, crystals, workers))
    tag_table("robocrystallographer", fast.described)
    hot_spots("robocrystallographer", crystals[:50], STEPS)
    raise SystemExit(0 if equal else 1)


if __name__ == "__main__":
    main()
