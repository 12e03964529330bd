"""Options and measures that the benchmarks share."""

from __future__ import annotations

import os
from pathlib import Path

import click

from featurestore.cli.options import together
from ingest.sample import sample_archive

#: Which structures are measured.
sample_options = together(
    click.option(
        "--archive",
        type=click.Path(path_type=Path, exists=True),
        default=sample_archive,
        help="A JARVIS archive; the bundled sample by default.",
    ),
    click.option("--n", default=500, show_default=True, help="Number of random structures."),
    click.option("--seed", default=0, show_default=True, help="Seed of the choice."),
)

#: Where the vectors of a large made-up store are from.
real_option = click.option(
    "--real",
    type=click.Path(path_type=Path, exists=True),
    help="A store whose vectors are repeated and jittered; random ones by default.",
)


def processor_time() -> float:
    """Seconds of processor time, here and in the processes that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def peak_memory() -> int:
    """The most bytes this process has had in memory; getrusage would count the parent's."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this benchmark needs Linux")
