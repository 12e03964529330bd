"""A folder of very many small structure files: time and memory before the first, and of all."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import click

from benchmarks.options import processor_time
from featurestore.store import FeatureStore
from ingest.library.structures import add_structures
from ingest.structures.ids import IdRule
from ingest.structures.sources import expand_sources

_POSCAR = "CsCl\n1.0\n{a} 0 0\n0 {a} 0\n0 0 {a}\nCs Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


@click.command()
@click.option("--files", default=100_000, show_default=True, help="How many files are made.")
@click.option("--read/--list-only", default=True, help="Whether they are ingested as well.")
def main(files: int, read: bool) -> None:
    """Make the files, list them and give them ids, then ingest them into a store of their own."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "files"
        source.mkdir()
        for number in range(files):
            text = _POSCAR.format(a=4.0 + number * 1e-5)
            (source / f"m{number:06d}.vasp").write_text(text)
        start = time.process_time()
        found = expand_sources([str(source)])
        listed = time.process_time()
        IdRule().ids([file.inside for file in found])
        named = time.process_time()
        print(f"{len(found):,} files: listed in {listed - start:.1f} s of CPU, ids in ", end="")
        print(f"{named - listed:.1f} s; peak {_peak():.0f} MiB")
        if read:
            begun, worked = time.perf_counter(), processor_time()
            result = add_structures(FeatureStore.open(Path(folder) / "store", create=True), source)
            seconds, cpu = time.perf_counter() - begun, processor_time() - worked
            print(
                f"{result.written:,} written in {seconds:.0f} s, {cpu:.0f} s of CPU in all, ",
                end="",
            )
            print(f"{1000 * cpu / files:.2f} ms a file; ", end="")
            print(f"peak {_peak():.0f} MiB here, {_peak(children=True):.0f} in a reading process")


def _peak(children: bool = False) -> float:
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss / 1024


if __name__ == "__main__":
    main()
