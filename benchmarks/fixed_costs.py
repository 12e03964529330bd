"""What usual commands cost in a fresh process where there is nothing to do: processor seconds.

    python -m benchmarks.fixed_costs

The least of several runs of each, on a store of the bundled sample.
"""

from __future__ import annotations

import resource
import shlex
import subprocess
import sys
import tempfile

import click

_SPLIT = "ingest splits --random 80/10/10 --seed 0 --property formation_energy_peratom --name drawn"
#: Those that write are run before, so that nothing is left to do.
COMMANDS = (
    *("--version", "info", "sql 'FROM materials'", "coverage", "snapshot list", "verify"),
    *("ingest sample", _SPLIT, "ingest text --text chemnlp", "maintain"),
)


def seconds(command: str, store: str) -> float:
    """Processor seconds of a command in a process of its own, its own workers included."""
    words = shlex.split(command)
    if command != "--version":
        words += ["--store", store]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = "from featurestore.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--times", default=3, show_default=True, help="Of each command.")
def main(times: int) -> None:
    """Print the processor seconds of each command."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store"
        for command in COMMANDS:
            if command.startswith("ingest"):
                seconds(command, store)
        for command in COMMANDS:
            least = min(seconds(command, store) for _ in range(times))
            print(f"{least:6.2f}  {command}", flush=True)


if __name__ == "__main__":
    main()
