"""ChemNLP texts, ours against jarvis-tools' own analyses on the same structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.plain_texts import plain_chemnlp
from benchmarks.text_comparison import choose, compare, hot_spots, measure, tag_table
from featurestore.crystal import Crystal
from ingest.sample import sample_archive
from ingest.text import generator
from ingest.text.base import Sentence

STEPS = {
    "symmetry": "get_symmetry_dataset",
    "diffraction peaks": "peak_angles",
    "bonds": "_bonds",
    "chemistry": "_chemistry",
}


def ours() -> Callable[[Crystal], list[Sentence]]:
    """The generator, loaded."""
    made = generator("chemnlp")
    made.warm_up()
    return made.describe


def plain() -> Callable[[Crystal], str]:
    """jarvis-tools, imported."""
    import jarvis.analysis.diffraction.xrd
    import jarvis.analysis.structure.spacegroup  # noqa: F401

    return plain_chemnlp


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
    tag_table("chemnlp", fast.described)
    hot_spots("chemnlp", crystals[:50], STEPS)
    raise SystemExit(0 if equal else 1)


if __name__ == "__main__":
    main()
