"""From CIF to prediction: seconds cold and warm, where they go, and many files at once.

``python -m benchmarks.predicting STORE --model ID`` copies the store, writes the structures of some
of its materials, stretched a little so that they are new, as CIFs, and predicts them: a command in
a new process (cold), calls of a `Predictor` that stays loaded (warm), and all in one command beside
a loop of single commands, of which a sample is timed.
"""

from __future__ import annotations

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


def command(store: Path, model: str, *words: str) -> float:
    """Seconds of ``featurestore predict`` in a process of its own."""
    start = time.perf_counter()
    code = "from featurestore.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "predict", *words, "--model", model, "--store", str(store)],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option("--model", required=True, help="Id of the model or its beginning.")
@click.option("--files", default=1000, show_default=True, help="CIFs of the one command.")
@click.option("--loop", default=3, show_default=True, help="Single commands that are timed.")
def main(store: Path, model: str, files: int, loop: int) -> None:
    """Print seconds cold and warm, where they go, and of many files at once."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "store"
        shutil.copytree(store, copy)
        opened = FeatureStore.open(copy)
        warm = write_cifs(opened, Path(folder) / "warm", 4, 1.01)
        single = write_cifs(opened, Path(folder) / "single", loop, 1.02)
        many = write_cifs(opened, Path(folder) / "many", files, 1.03)
        alone = [command(copy, model, str(path), "--no-store") for path in single]
        click.echo(f"one CIF, a new process (cold): {', '.join(f'{s:.1f}' for s in alone)} s")
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
        click.echo(f"{files} CIFs, one command: {together:.1f} s, {together / files:.3f} s each")
        mean = sum(alone) / len(alone)
        click.echo(
            f"{files} CIFs, a loop of single commands: {mean * files:.0f} s by {loop} of them, "
            f"{mean * files / together:.0f} times as long"
        )


if __name__ == "__main__":
    main()
