"""A folder of very many small structure files: time and memory of a run cut off and its resumption.

Every tenth file is a CIF, the others are POSCARs; one in 500 is cut off and one in 1,000 no
structure file. Each run's counts have to add up to the files that it read.
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import threading
import time
from pathlib import Path

import click

from benchmarks.options import processor_time
from featurestore.store import FeatureStore
from ingest.library.structures import add_structures
from ingest.structures.ids import IdRule
from ingest.structures.sources import expand_sources

_POSCAR = "CsCl\n1.0\n{a} 0 0\n0 {a} 0\n0 0 {a}\nCs Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
_CIF = """data_m
_chemical_formula_sum 'Cs1 Cl1'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cs1 Cs 0 0 0
Cl1 Cl 0.5 0.5 0.5
"""


@click.command()
@click.option("--files", default=100_000, show_default=True, help="How many files are made.")
@click.option("--read/--list-only", default=True, help="Whether they are ingested as well.")
@click.option(
    "--interrupt-after", default=0.0, help="Seconds after which the first run is cut off."
)
def main(files: int, read: bool, interrupt_after: float) -> None:
    """Make the files, list them and give them ids, then ingest them into a store of their own."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "files"
        source.mkdir()
        for number in range(files):
            name, text = _file(number)
            (source / name).write_text(text)
        start = time.process_time()
        found = expand_sources([str(source)])
        listed = time.process_time()
        IdRule().ids([file.inside for file in found])
        named = time.process_time()
        print(f"{len(found):,} files: listed in {listed - start:.1f} s of CPU, ids in ", end="")
        print(f"{named - listed:.1f} s; peak {_peak():.0f} MiB", flush=True)
        if read:
            store = FeatureStore.open(Path(folder) / "store", create=True)
            if interrupt_after:
                _ingested(store, source, interrupt_after)
            for _ in range(2):
                _ingested(store, source)


def _file(number: int) -> tuple[str, str]:
    """The name and the text of one of them."""
    if number % 1000 == 999:
        return f"m{number:06d}.txt", "no structure\n"
    suffix, text = (".cif", _CIF) if number % 10 == 0 else (".vasp", _POSCAR)
    text = text.format(a=round(4.0 + number * 1e-5, 5))
    return f"m{number:06d}{suffix}", text[: len(text) // 2] if number % 500 == 499 else text


def _ingested(store: FeatureStore, source: Path, interrupt_after: float = 0.0) -> None:
    """One run, what it counts, and what it costs."""
    begun, worked = time.perf_counter(), processor_time()
    if interrupt_after:
        threading.Timer(interrupt_after, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        counts = add_structures(store, source).outcomes[0].counts()
    except KeyboardInterrupt as interrupted:
        counts = {}
        print(f"interrupted: {interrupted}; ", end="")
    seconds, cpu = time.perf_counter() - begun, processor_time() - worked
    files = sum(counts.values()) - counts.pop("noted", 0)  # of those that are written
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    print(f"{said or 'cut off'}, {files:,} in all: {cpu:.0f} s of CPU in {seconds:.0f} s; ", end="")
    print(f"peak {_peak():.0f} MiB", flush=True)


def _peak() -> float:
    """Of this process in MiB; a child's begins with that of the process which started it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
