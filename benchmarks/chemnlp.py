"""ChemNLP texts, ours against jarvis-tools' own analyses on the same structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.options import sample_options
from benchmarks.plain_texts import plain_chemnlp
from benchmarks.text_comparison import choose, run
from featurestore.crystal import Crystal
from ingest.text.base import Sentence
from ingest.text.registry import generator

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
@sample_options
@click.option("--workers", default=1, show_default=True, help="Processes for each way.")
def main(archive: Path, n: int, seed: int, workers: int) -> None:
    """Compare texts, CPU time and memory; the exit code is 1 where a text differs."""
    run("chemnlp", ours, plain, STEPS, choose(archive, n, seed), workers)


if __name__ == "__main__":
    main()
