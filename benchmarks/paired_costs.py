"""What a command costs here and in another checkout: processor seconds of alternating processes.

Ingestion of an archive, the start of a query, a view of a store, and sessions opened one after the
other in one process, each with a query. Whatever else the machine does falls on both checkouts, and
processor time does not count waiting; the median of the pairs' ratios is what is compared.

    git worktree add ../before COMMIT
    python -m benchmarks.paired_costs STORE --against ../before --view "--property mbj_bandgap …"
"""

from __future__ import annotations

import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

_HERE = Path(__file__).parents[1]
_COMMAND = "from featurestore.cli import main; main()"
_SQL = "SELECT crystal_system, count(*) FROM materials GROUP BY crystal_system"
_SESSIONS = """
import sys, time
from featurestore.store import FeatureStore
store = FeatureStore.open(sys.argv[1])
def opened():
    with store.session() as session:
        session.query(sys.argv[2])
opened()
start = time.process_time()
for _ in range(20):
    opened()
print((time.process_time() - start) / 20)
"""


def of_process(checkout: Path, code: str, *arguments: str) -> tuple[float, str]:
    """Processor seconds of a process that runs code of a checkout, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"{checkout}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def cost(checkout: Path, what: str, store: Path, view: str, archive: Path | None) -> float:
    """Processor seconds of one of `CASES` by a checkout."""
    if what == "ingest":
        with tempfile.TemporaryDirectory() as folder:
            words = ["ingest", "structures", str(archive), "--store", f"{folder}/store"]
            return of_process(checkout, _COMMAND, *words)[0]
    if what == "view":
        words = ["view", *shlex.split(view), "--store", str(store)]
        return of_process(checkout, _COMMAND, *words)[0]
    if what == "sql":
        return of_process(checkout, _COMMAND, "sql", _SQL, "--store", str(store))[0]
    printed = of_process(checkout, _SESSIONS, str(store), _SQL)[1]
    return float(printed.splitlines()[-1])


@click.command()
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--against", required=True, type=click.Path(exists=True, path_type=Path), help="A checkout."
)
@click.option("--pairs", default=10, show_default=True, help="Of processes, for each case.")
@click.option("--view", default="", help="Options of featurestore view; without them, no view.")
@click.option("--archive", type=click.Path(exists=True, path_type=Path), help="To be ingested.")
def main(store: Path, against: Path, pairs: int, view: str, archive: Path | None) -> None:
    """Print processor milliseconds there and here, for what can be done with STORE."""
    cases = ["session", "sql", *(["view"] if view else []), *(["ingest"] if archive else [])]
    print(f"{'processor ms, medians':24} {'there':>9} {'here':>9} {'ratio':>7}")
    for what in cases:
        there, here = [], []
        for turn in range(pairs + 1):
            order = ((there, against), (here, _HERE))
            for costs, checkout in order if turn % 2 else order[::-1]:
                seconds = cost(checkout.resolve(), what, store.resolve(), view, archive)
                if turn:  # the first writes byte code and fills the disk's cache
                    costs.append(1000 * seconds)
        ratio = statistics.median(b / a for a, b in zip(there, here, strict=True))
        medians = f"{statistics.median(there):9,.1f} {statistics.median(here):9,.1f}"
        print(f"{what:24} {medians} {ratio:7.3f}", flush=True)


if __name__ == "__main__":
    main()
