"""``ingest structures`` on an archive: rate, peak memory, and which step takes the time."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from featurestore.crystal import Crystal
from featurestore.machine.processors import processors
from featurestore.registry import load_registry
from featurestore.store import FeatureStore
from ingest.sample import sample_archive
from ingest.stages.structures import ingest_structures
from ingest.structures.checks import check_structure
from ingest.structures.composition import composition_prototype, reduced_formula
from ingest.structures.jarvis import read_jarvis
from ingest.structures.symmetry import symmetry


class _Silent:
    def update(self, done: int = 1) -> None:
        """Nothing is shown while time is taken."""


def _seconds(work: Callable[[Crystal], object], crystals: Iterable[Crystal]) -> float:
    start = time.process_time()
    for crystal in crystals:
        work(crystal)
    return time.process_time() - start


@click.command()
@click.option("--archive", type=click.Path(path_type=Path), default=sample_archive)
@click.option("--steps", default=1000, show_default=True, help="Structures for the step times.")
def main(archive: Path, steps: int) -> None:
    """Ingest the archive into a store of its own, then time the steps one by one."""
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.open(Path(folder) / "store", create=True)
        start = time.perf_counter()
        with store.run("benchmark", {}) as run:
            outcome, targets = ingest_structures(
                store,
                read_jarvis(archive),
                dataset="benchmark",
                registry=load_registry(),
                run=run,
                progress=_Silent(),
                workers=processors(),
            )
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    total = outcome.written + len(outcome.failures)
    print(f"{total} materials, {targets.written} targets in {seconds:.1f} s with {processors()} ")
    print(f"processes: {total / seconds:.0f} materials/s; {len(outcome.failures)} failed")
    print(f"peak memory: {peak:.0f} MiB, and {worker:.0f} MiB in the largest worker")

    start_cpu = time.process_time()
    crystals = []
    for record in read_jarvis(archive):
        if isinstance(record.structure, Crystal):
            crystals.append(record.structure)
        if len(crystals) == steps:
            break
    n = len(crystals)
    times = {
        "reading": time.process_time() - start_cpu,
        "checks": _seconds(check_structure, crystals),
        "symmetry (spglib)": _seconds(symmetry, crystals),
        "composition": _seconds(
            lambda c: (reduced_formula(c.species), composition_prototype(c.species)), crystals
        ),
        "structure_id": _seconds(lambda c: c.structure_id, crystals),
    }
    whole = sum(times.values())
    print(f"CPU time of the steps, first {n} structures:")
    for step, spent in times.items():
        print(f"  {step:18} {1e3 * spent / n:7.3f} ms a structure, {100 * spent / whole:4.1f} %")


if __name__ == "__main__":
    main()
