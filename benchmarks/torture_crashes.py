"""``python -m benchmarks.torture_crashes``: SIGKILL and failing writes at random moments.

A small store of real materials goes through every writing stage, from structures to maintenance
(`torture_stages`). Each stage runs in a process of its own that is killed at a random moment, or
whose writes below the store fail from a random call on. After each fault the store is opened and
verified; in the end each stage runs undisturbed and the store's content is compared, row by row
and bit by bit, with that of a store that nothing has disturbed. The exit code is 1 if anything was
lost or wrong. With ``--record`` every fault is a line of a file, and the same command goes on from
there:

    python -m benchmarks.torture_crashes --kills 1000 --refusals 200 --record faults.jsonl
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks.forked import BROKEN, FINISHED, HANGS_AFTER, done, ended, kill_at, started
from benchmarks.torture_files import opened, optimade_pages
from benchmarks.torture_stages import Stage, preload, stages

# What a second run of the same command need not repeat: who wrote a row, and when.
_VOLATILE = {"run_id", "seconds"}
_UNCOMPARED = {"runs", "failures", "snapshots"}
_KILL, _REFUSAL, _STORE = "SIGKILL", "failing write", "store"


class Record:
    """What happened: faults made, and what was found wrong after them; kept in a file if asked to.

    Parameters
    ----------
    path : Path, optional
        A line for each fault and each store that was made; what it holds already counts.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        if path is not None and path.exists():
            self.lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    def add(self, kind: str, stage: str, wrong: list[str], **more: Any) -> None:
        """One fault, or one store that was made."""
        line = {"kind": kind, "stage": stage, "wrong": wrong, **more}
        self.lines.append(line)
        for problem in wrong:
            click.echo(f"WRONG after {kind} in {stage}: {problem}")
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def count(self, kind: str) -> int:
        """How many of a kind there were."""
        return sum(line["kind"] == kind for line in self.lines)

    @property
    def wrong(self) -> list[str]:
        return [problem for line in self.lines for problem in line["wrong"]]

    @property
    def losses(self) -> int:
        return sum(line.get("losses", 0) for line in self.lines)

    def table(self) -> Iterator[str]:
        """Stage by stage the faults of each kind, and what was wrong after them."""
        yield f"{'stage':18} {'kills':>6} {'failing writes':>15} {'wrong':>6}"
        faults = [line for line in self.lines if line["kind"] != _STORE]
        for stage in dict.fromkeys(line["stage"] for line in self.lines):
            kinds = Counter(line["kind"] for line in faults if line["stage"] == stage)
            wrong = sum(len(line["wrong"]) for line in self.lines if line["stage"] == stage)
            yield f"{stage:18} {kinds[_KILL]:6} {kinds[_REFUSAL]:15} {wrong:6}"


def content(uri: str) -> dict[str, list[str]]:
    """The rows of every table but the records of runs, without what is volatile, sorted."""
    found = {}
    with opened(uri).session() as session:
        for table in sorted(set(session.versions) - _UNCOMPARED):
            rows = session.dataset(table).to_table().to_pylist()
            lasting = [repr(_lasting(row)) for row in rows]
            # of a renaming that was cut off there is a record, and one of the run that finished it
            found[table] = sorted(set(lasting) if table == "renames" else lasting)
    return found


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    row = {
        name: value
        for name, value in row.items()
        if name not in _VOLATILE and not name.endswith("_at")
    }
    if "metrics" in row:
        row["metrics"] = {k: v for k, v in json.loads(row["metrics"]).items() if k not in _VOLATILE}
    if "weights" in row:
        row["weights"] = hashlib.sha256(row["weights"]).hexdigest()
    return row


def examined(uri: str) -> list[str]:
    """What `verify` finds wrong with the store; nothing to verify before its first commit."""
    from featurestore.upkeep.verify import verify

    return [f"{f.table}: {f.problem}" for f in verify(opened(uri)) if f.wrong]


class Torture:
    """Disturbs the making of one store after the other until there were enough faults."""

    def __init__(self, folder: Path, seed: int, record: Record, provider: str) -> None:
        self.folder = folder
        self.record = record
        # What was drawn before an interruption is not drawn again.
        self.random = random.Random(f"{seed} {len(record.lines)}")
        self.stages = stages(folder, provider)
        preload()
        self.seconds: dict[str, float] = {}
        quiet = str(folder / "quiet")
        shutil.rmtree(quiet, ignore_errors=True)
        for stage in self.stages:
            start = time.monotonic()
            done(lambda work=stage.work: work(quiet))
            self.seconds[stage.name] = time.monotonic() - start
        found = done(lambda: examined(quiet))
        assert not found, found
        self.expected = done(lambda: content(quiet))

    def round(self, disturb: Callable[[Stage, str], bool], most: int) -> None:
        """Make one store, each stage disturbed until it finishes or has been often enough."""
        uri = str(self.folder / "store")
        shutil.rmtree(uri, ignore_errors=True)
        for stage in self.stages:
            for _ in range(most):
                if not disturb(stage, uri):
                    break
            try:
                done(lambda work=stage.work: work(uri))
            except RuntimeError as error:
                self.record.add(_STORE, stage.name, [f"does not go on: {error}"])
                return
        wrong = self._examined(uri)
        losses, differing = self._compared(uri)
        self.record.add(_STORE, "all, at the end", wrong + differing, losses=losses)

    def kill(self, stage: Stage, uri: str) -> bool:
        """Kill a stage at a random moment of its usual duration."""
        moment = self.random.uniform(0, 1.1 * self.seconds[stage.name])
        if not kill_at(lambda: stage.work(uri), moment):
            return False
        self.record.add(_KILL, stage.name, self._examined(uri), after=round(moment, 3))
        return True

    def refuse(self, stage: Stage, uri: str) -> bool:
        """Refuse a stage's writes from a random call on, all or one of them."""
        code = self.random.choice([errno.ENOSPC, errno.EIO])
        environment = {
            "FAIL_BELOW": uri,
            "FAIL_AFTER": str(int(self.random.expovariate(1 / 60))),
            "FAIL_ERRNO": str(code),
            "FAIL_ONCE": self.random.choice("01"),
        }
        process = started(lambda: stage.work(uri), environment)
        status, result = ended(*process, HANGS_AFTER)
        if status == FINISHED:
            return False
        name = errno.errorcode[code]
        wrong = []
        if status is None:
            wrong = [f"hangs after {name}"]
        elif status == BROKEN:
            wrong = [f"ends in a traceback after {name}:\n{result}"]
        self.record.add(_REFUSAL, stage.name, wrong + self._examined(uri), error=name)
        return True

    def _examined(self, uri: str) -> list[str]:
        try:
            return list(done(lambda: examined(uri)))
        except RuntimeError as error:
            return [f"cannot be examined: {error}"]

    def _compared(self, uri: str) -> tuple[int, list[str]]:
        """How many rows are lost, doubled or changed, and in which tables."""
        found = done(lambda: content(uri))
        losses, wrong = 0, []
        for table in sorted(self.expected.keys() | found.keys()):
            wanted, there = Counter(self.expected.get(table, [])), Counter(found.get(table, []))
            lost, more = (wanted - there).total(), (there - wanted).total()
            losses += lost + more
            if lost or more:
                example = next(iter([*(wanted - there), *(there - wanted)]))[:300]
                wrong.append(f"{table}: {lost} rows lost, {more} too many or other: {example}")
        return losses, wrong


@contextlib.contextmanager
def preloaded_shim(source: Path) -> Iterator[str | None]:
    """The compiled shim's path; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "failing_writes.so"
        if compiler:
            subprocess.run(
                [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True
            )
        yield str(library) if compiler else None


def _with_shim() -> int:
    """Run this program again with the shim before the C library."""
    with preloaded_shim(Path(__file__).with_name("failing_writes.c")) as library:
        environment = os.environ | {
            "LD_PRELOAD": library or "",
            "TORTURE_SHIM": "1" if library else "none",
            "OMP_NUM_THREADS": "1",
            "RUST_LOG": "off",
        }
        command = [sys.executable, "-m", "benchmarks.torture_crashes", *sys.argv[1:]]
        return subprocess.run(command, env=environment, check=False).returncode


@click.command()
@click.option("--kills", default=500, show_default=True, help="SIGKILLs at least.")
@click.option("--refusals", default=100, show_default=True, help="Failing writes at least.")
@click.option("--most", default=8, show_default=True, help="Faults in one stage of one store.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
@click.option(
    "--folder", type=click.Path(path_type=Path, resolve_path=True), help="Default: a temporary one."
)
@click.option(
    "--record",
    "path",
    type=click.Path(path_type=Path, resolve_path=True),
    help="File of faults to go on from.",
)
@click.option("--growth/--no-growth", default=True, help="What comes after the first model, too.")
@click.option("--minutes", default=1e9, help="Begin no further store after so long.")
def main(
    kills: int,
    refusals: int,
    most: int,
    seed: int,
    folder: Path | None,
    path: Path | None,
    growth: bool,
    minutes: float,
) -> None:
    """Kill and refuse writes until there were enough faults, then say what was lost."""
    if "TORTURE_SHIM" not in os.environ:
        sys.exit(_with_shim())
    warnings.filterwarnings("ignore", message=".*fork.*")
    begun = time.monotonic()
    record = Record(path)

    wanted = {_KILL: kills, _REFUSAL: refusals}
    if os.environ["TORTURE_SHIM"] != "1":
        click.echo("no C compiler: failing writes are left out")
        del wanted[_REFUSAL]

    def lacking() -> list[str]:
        """The kinds of which there are too few, that with the smaller share first."""
        if time.monotonic() - begun > 60 * minutes:
            return []
        found = [kind for kind, number in wanted.items() if record.count(kind) < number]
        return sorted(found, key=lambda kind: record.count(kind) / wanted[kind])

    pages = optimade_pages() if growth else contextlib.nullcontext("")
    with tempfile.TemporaryDirectory() as temporary, pages as provider:
        if lacking():
            torture = Torture(folder or Path(temporary), seed, record, provider)
            took = ", ".join(f"{name} {seconds:.1f}" for name, seconds in torture.seconds.items())
            click.echo(f"undisturbed, s: {took}")
        while kinds := lacking():
            torture.round(torture.kill if kinds[0] == _KILL else torture.refuse, most)
    for line in record.table():
        click.echo(line)
    click.echo(
        f"SIGKILL: {record.count(_KILL)}; failing writes: {record.count(_REFUSAL)}; stores made: "
        f"{record.count(_STORE)}; found wrong: {len(record.wrong)}; rows lost, doubled or "
        f"changed: {record.losses}; {time.monotonic() - begun:.0f} s"
    )
    sys.exit(1 if record.wrong else 0)


if __name__ == "__main__":
    main()
