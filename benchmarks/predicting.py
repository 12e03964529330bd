"""From CIF to prediction: seconds cold and warm, where they go, and many files at once.

``python -m benchmarks.predicting STORE --model ID`` copies the store, writes the structures of some
of its materials, or of another store's, stretched a little so that they are new, as CIFs, and
predicts them: a command in a new process (cold), calls of a `Predictor` that stays loaded (warm),
and all in one command beside a loop of single commands, of which a sample is timed. CPU seconds of
commands, with their workers, stand beside: on a busy machine they say more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from featurestore.store import FeatureStore
from featurestore.stored_structures import crystal_from_row
from train.forecasts.predictor import Predictor


def write_cifs(store: FeatureStore, folder: Path, count: int, stretch: float) -> list[Path]:
    """CIFs of ``count`` of the store's structures, repeated with other stretches if need be."""
    from pymatgen.core import Lattice, Structure

    rows = store.sql(
        "SELECT material_id, lattice, species, frac_coords FROM materials WHERE n_atoms <= 20 "
        "ORDER BY structure_id LIMIT ?",
        [count],
    ).to_pylist()
    folder.mkdir(parents=True)
    written = []
    for number in range(count):
        row, turn = rows[number % len(rows)], number // len(rows)
        crystal = crystal_from_row(row)
        lattice = Lattice(crystal.lattice * (stretch + 0.001 * turn))
        path = folder / f"{row['material_id']}-{turn}.cif"
        Structure(lattice, list(crystal.species), crystal.frac_coords).to(filename=str(path))
        written.append(path)
    return written


def command(store: Path, model: str, *words: str) -> tuple[float, float]:
    """Seconds and CPU seconds of ``featurestore predict`` in a process of its own."""
    start, before = time.perf_counter(), os.times()
    code = "from featurestore.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "predict", *words, "--model", model, "--store", str(store)],
        check=True,
        capture_output=True,
    )
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return time.perf_counter() - start, spent


def said(times: tuple[float, float], count: int = 1) -> str:
    """Seconds and CPU seconds, for each of ``count``."""
    return f"{times[0] / count:.3g} s ({times[1] / count:.3g} of CPU)"


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--model", required=True, help="Id of the model or its beginning.")
@click.option(
    "--crystals",
    type=click.Path(exists=True, path_type=Path),
    help="Store whose structures are written; by default STORE.",
)
@click.option("--files", default=1000, show_default=True, help="CIFs of the one command.")
@click.option("--loop", default=3, show_default=True, help="Single commands that are timed.")
def main(store: Path, model: str, crystals: Path | None, files: int, loop: int) -> None:
    """Print seconds cold and warm, where they go, and of many files at once."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "store"
        shutil.copytree(store, copy)
        opened = FeatureStore.open(copy)
        source = FeatureStore.open(crystals or copy)
        warm = write_cifs(source, Path(folder) / "warm", 4, 1.01)
        single = write_cifs(source, Path(folder) / "single", loop, 1.02)
        many = write_cifs(source, Path(folder) / "many", files, 1.03)
        alone = [command(copy, model, str(path), "--no-store") for path in single]
        total = sum(one[0] for one in alone), sum(one[1] for one in alone)
        slowest = max(one[0] for one in alone)
        click.echo(
            f"one CIF, a new process (cold): mean of {loop} {said(total, loop)}, at most "
            f"{slowest:.3g} s"
        )
        with Predictor(opened, models=[model]) as predictor:
            for number, path in enumerate(warm):
                start = time.perf_counter()
                told = predictor.predict(path)
                seconds = time.perf_counter() - start
                parts = ", ".join(f"{name} {s:.2f}" for name, s in told.seconds.items())
                which = "first" if not number else "further"
                click.echo(f"one CIF, {which} call: {seconds:.2f} s ({parts})")
            start = time.perf_counter()
            predictor.predict(warm[0])
            click.echo(f"one CIF, seen before: {time.perf_counter() - start:.2f} s")
        together = command(copy, model, str(many[0].parent))
        click.echo(f"{files} CIFs, one command: {said(together)}, each {said(together, files)}")
        times = [whole / loop * files / one for whole, one in zip(total, together, strict=True)]
        click.echo(
            f"{files} CIFs, a loop of single commands, by {loop} of them: "
            f"{said(total, loop)} each, {times[0]:.0f} times as long ({times[1]:.0f} times the CPU)"
        )
        again = command(copy, model, str(many[0].parent))
        click.echo(f"{files} CIFs, the same command again: {said(again)}")


if __name__ == "__main__":
    main()
