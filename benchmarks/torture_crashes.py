"""``python -m benchmarks.torture_crashes``: SIGKILL and failing writes at random moments.

A small store of real materials goes through every writing stage: structures, splits, sentences,
vectors of structures and of texts, training, a snapshot, maintenance. Each stage runs in a process
of its own that is killed at a random moment, or whose writes below the store fail from a random
call on. After each fault the store is opened and verified; in the end each stage runs undisturbed
and the store's content is compared, row by row and bit by bit, with that of a store that nothing
has disturbed. The exit code is 1 if anything was lost or wrong.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

MATERIALS = 12
PROPERTY = "formation_energy_peratom"
SPLIT = "random"
_HANGS_AFTER = 90.0
_FINISHED, _REFUSED, _BROKEN = 0, 3, 4
# What a second run of the same command need not repeat: who wrote a row, and when.
_VOLATILE = {"run_id", "created_at", "seconds"}
_UNCOMPARED = {"runs", "failures", "snapshots"}


@dataclass(frozen=True)
class Stage:
    """A writing command as a function of the store's folder."""

    name: str
    work: Callable[[str], None]


@dataclass
class Report:
    """What happened: faults made, and what was found wrong after them."""

    kills: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stores: int = 0
    losses: int = 0


def stages(folder: Path) -> list[Stage]:
    """The stages, with tiny random weights that are written below ``folder``."""
    from functools import partial

    import ingest.pipeline.job as pipeline
    import ingest.stages.embeddings as embeddings
    import ingest.stages.structures as structures
    import ingest.stages.text as text
    from ingest.encoders.load import load_encoder

    # By its folder: installed packages may bring a package called tests.
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_alignn import write_tiny_alignn
    from tiny_bert import write_tiny_bert

    write_tiny_alignn(folder / "tiny-alignn")
    write_tiny_bert(folder / "tiny-bert")
    # Many small writes, so that most moments fall near one; one item a call, so that a vector does
    # not depend on its neighbours; no worker processes, which hold no store.
    structures._BATCH = 4
    embeddings._ITEMS_A_CALL, embeddings._ITEMS_A_WRITE = 1, 3
    pipeline._SECONDS_A_WRITE = 0.05
    text._STRUCTURES_A_WRITE = 3
    text.InWorkers = _in_this_process  # type: ignore[attr-defined, assignment]
    return [
        Stage("structures", _structures),
        Stage("splits", _splits),
        Stage("text", _text),
        Stage(
            "structure vectors",
            partial(_structure_vectors, encoder=load_encoder(str(folder / "tiny-alignn"))),
        ),
        Stage(
            "text vectors", partial(_text_vectors, encoder=load_encoder(str(folder / "tiny-bert")))
        ),
        Stage("train", _train),
        Stage("snapshot", _snapshot),
        Stage("maintain", _maintain),
    ]


def preload() -> None:
    """Import what the stages need, so that a forked process is at its work at once."""
    import importlib

    for module in (
        "lance",
        "lancedb",
        "featurestore.upkeep.maintenance",
        "featurestore.upkeep.verify",
        "train.predictors.mlp",
        "train.training",
    ):
        importlib.import_module(module)
    from featurestore.tables.runs import git_commit, recorded_versions
    from ingest.text.registry import generator

    generator("chemnlp").warm_up()
    recorded_versions()
    git_commit()


def _in_this_process(*, work: Any, initializer: Any, initargs: Any, **_: Any) -> Any:
    from ingest.pipeline.engines import InThisProcess

    initializer(*initargs)
    return InThisProcess(lambda items: [work(item) for item in items], 1)


def _store(uri: str) -> Any:
    from featurestore.store import FeatureStore

    return FeatureStore.open(uri, create=True)


def _structures(uri: str) -> None:
    from featurestore.output.progress import progress_bar
    from featurestore.registry import load_registry
    from ingest.sample import sample_archive
    from ingest.stages.structures import ingest_structures
    from ingest.structures.jarvis import read_jarvis

    store = _store(uri)
    records = [record for record in read_jarvis(sample_archive()) if PROPERTY in record.targets]
    with (
        store.run("ingest structures", {}) as run,
        progress_bar(None, "structures", "materials") as progress,
    ):
        ingest_structures(
            store,
            sorted(records, key=lambda record: record.structure.n_atoms)[:MATERIALS],
            dataset="sample",
            registry=load_registry(),
            run=run,
            progress=progress,
            workers=1,
        )


def _splits(uri: str) -> None:
    from ingest.stages.folds import random_folds
    from ingest.stages.splits import ingest_split, materials_with

    store = _store(uri)
    with store.run("ingest splits", {}) as run:
        folds = random_folds(materials_with(store, PROPERTY), (60, 20, 20), 0)
        ingest_split(store, folds, split=SPLIT, name=PROPERTY, run=run)


def _text(uri: str) -> None:
    from ingest.stages.selection import Selection
    from ingest.stages.text import ingest_text

    store = _store(uri)
    with store.run("ingest text", {}) as run:
        ingest_text(
            store,
            "chemnlp",
            settings={},
            selection=Selection(),
            workers=1,
            time_limit=60,
            retry_failures=True,
            run=run,
        )


def _structure_vectors(uri: str, encoder: Any) -> None:
    from ingest.stages.embeddings import ingest_structure_embeddings
    from ingest.stages.selection import Selection

    store = _store(uri)
    with store.run("ingest embeddings", {}) as run:
        ingest_structure_embeddings(
            store, encoder, selection=Selection(), retry_failures=True, run=run
        )


def _text_vectors(uri: str, encoder: Any) -> None:
    from ingest.stages.embeddings import ingest_text_embeddings
    from ingest.stages.selection import Selection

    store = _store(uri)
    with store.run("ingest embeddings", {}) as run:
        ingest_text_embeddings(
            store,
            encoder,
            source="chemnlp",
            variants=["full", "without:each"],
            selection=Selection(),
            retry_failures=True,
            run=run,
        )


def _train(uri: str) -> None:
    from train.predictors.mlp import MLP
    from train.training import train_model

    store = _store(uri)
    view = store.training_view(
        PROPERTY,
        structure_encoder="tiny-alignn",
        text_source="chemnlp",
        text_encoder="tiny-bert",
        split=SPLIT,
    )
    train_model(store, view, MLP(widths=(16, 8), max_epochs=20), seed=0)


def _snapshot(uri: str) -> None:
    from featurestore.errors import ConflictError

    with contextlib.suppress(ConflictError):  # it is there from a run that was killed afterwards
        _store(uri).create_snapshot("made", "")


def _maintain(uri: str) -> None:
    from featurestore.upkeep.maintenance import maintain

    store = _store(uri)
    with store.run("maintain", {}):
        maintain(store, keep_days=0)


def content(uri: str) -> dict[str, list[str]]:
    """The rows of every table but the records of runs, without what is volatile, sorted."""
    found = {}
    with _store(uri).session() as session:
        for table in sorted(set(session.versions) - _UNCOMPARED):
            rows = session.dataset(table).to_table().to_pylist()
            found[table] = sorted(repr(_lasting(row)) for row in rows)
    return found


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    import json

    row = {name: value for name, value in row.items() if name not in _VOLATILE}
    if "metrics" in row:
        row["metrics"] = {k: v for k, v in json.loads(row["metrics"]).items() if k not in _VOLATILE}
    if "weights" in row:
        row["weights"] = hashlib.sha256(row["weights"]).hexdigest()
    return row


def examined(uri: str) -> list[str]:
    """What `verify` finds wrong with the store; nothing to verify before its first commit."""
    from featurestore.upkeep.verify import verify

    return [f"{f.table}: {f.problem}" for f in verify(_store(uri)) if f.wrong]


def started(work: Callable[[], Any], environment: dict[str, str] | None = None) -> tuple[int, int]:
    """Do the work in a forked process; its id, and the end of a pipe its pickled result comes by.

    This process never touches Lance, whose threads would not survive the fork.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    code = _BROKEN
    try:
        os.close(reading)
        os.setpgid(0, 0)
        os.environ.update(environment or {})
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            result, code = work(), _FINISHED
        except BaseException as error:
            from featurestore.errors import FeatureStoreError

            code = _REFUSED if isinstance(error, FeatureStoreError) else _BROKEN
            result = traceback.format_exc()
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(result, pipe)
    finally:
        os._exit(code)


def ended(process: int, reading: int, within: float) -> tuple[int | None, Any]:
    """Wait for a process; its exit code and result, the code None if it had to be killed."""
    import select

    with os.fdopen(reading, "rb") as pipe:
        ready, _, _ = select.select([pipe], [], [], within)
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        answer = pipe.read() if ready else b""
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    return (code if code >= 0 else None), (pickle.loads(answer) if answer else None)


def done(work: Callable[[], Any]) -> Any:
    """The result of work in a process of its own; an error there is one here."""
    code, result = ended(*started(work), _HANGS_AFTER)
    if code != _FINISHED:
        raise RuntimeError(f"exit code {code}: {result}")
    return result


def kill_at(work: Callable[[], Any], seconds: float) -> bool:
    """Start the work and kill it after so long; whether it was still at it."""
    process, reading = started(work)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


class Torture:
    """Disturbs the making of one store after the other until there were enough faults."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.stages = stages(folder)
        preload()
        self.report = Report()
        self.seconds: dict[str, float] = {}
        quiet = str(folder / "quiet")
        for stage in self.stages:
            start = time.monotonic()
            done(lambda work=stage.work: work(quiet))
            self.seconds[stage.name] = time.monotonic() - start
        assert not done(lambda: examined(quiet))
        self.expected = done(lambda: content(quiet))

    def round(self, disturb: Callable[[Stage, str], bool], faults_a_stage: int) -> None:
        """Make one store, each stage disturbed until it finishes or has been often enough."""
        uri = str(self.folder / "store")
        shutil.rmtree(uri, ignore_errors=True)
        for stage in self.stages:
            for _ in range(faults_a_stage):
                undisturbed = not disturb(stage, uri)
                self._examine(uri, stage)
                if undisturbed:
                    break
            try:
                done(lambda work=stage.work: work(uri))
            except RuntimeError as error:
                self.report.wrong.append(f"{stage.name} does not go on: {error}")
        self._examine(uri, stage)
        self._compare(uri)
        self.report.stores += 1

    def kill(self, stage: Stage, uri: str) -> bool:
        """Kill a stage at a random moment of its usual duration."""
        moment = self.random.uniform(0, 1.1 * self.seconds[stage.name])
        killed = kill_at(lambda: stage.work(uri), moment)
        self.report.kills[stage.name] += killed
        return killed

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
        status, result = ended(*process, _HANGS_AFTER)
        if status == _FINISHED:
            return False
        name = errno.errorcode[code]
        self.report.refusals[f"{stage.name}, {name}"] += 1
        if status is None:
            self.report.wrong.append(f"{stage.name} hangs after {name}")
        elif status == _BROKEN:
            self.report.wrong.append(f"{stage.name} after {name} ends in a traceback:\n{result}")
        return True

    def _examine(self, uri: str, stage: Stage) -> None:
        try:
            found = done(lambda: examined(uri))
        except RuntimeError as error:
            found = [f"cannot be examined: {error}"]
        self.report.wrong += [f"after {stage.name}: {problem}" for problem in found]

    def _compare(self, uri: str) -> None:
        found = done(lambda: content(uri))
        for table in sorted(self.expected.keys() | found.keys()):
            wanted, there = Counter(self.expected.get(table, [])), Counter(found.get(table, []))
            lost, more = (wanted - there).total(), (there - wanted).total()
            self.report.losses += lost + more
            if lost or more:
                self.report.wrong.append(f"{table}: {lost} rows lost, {more} too many or other")


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
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
@click.option("--folder", type=click.Path(path_type=Path), help="Default: a temporary one.")
def main(kills: int, refusals: int, seed: int, folder: Path | None) -> None:
    """Kill and refuse writes until there were enough faults, then say what was lost."""
    if "TORTURE_SHIM" not in os.environ:
        sys.exit(_with_shim())
    warnings.filterwarnings("ignore", message=".*fork.*")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        torture = Torture(folder or Path(temporary), seed)
        report = torture.report
        took = ", ".join(f"{name} {seconds:.1f}" for name, seconds in torture.seconds.items())
        click.echo(f"undisturbed, s: {took}")
        while report.kills.total() < kills:
            torture.round(torture.kill, faults_a_stage=3 + kills // 50)
        if os.environ["TORTURE_SHIM"] == "1":
            while report.refusals.total() < refusals:
                torture.round(torture.refuse, faults_a_stage=1 + refusals // 20)
        else:
            click.echo("no C compiler: failing writes were left out")
    for title, counts in (("SIGKILL", report.kills), ("failing writes", report.refusals)):
        parts = ", ".join(f"{count} in {name}" for name, count in sorted(counts.items()))
        click.echo(f"{title}: {counts.total()} ({parts})")
    for problem in report.wrong:
        click.echo(f"WRONG {problem}")
    click.echo(
        f"stores made: {report.stores}; found wrong: {len(report.wrong)}; rows lost, doubled or "
        f"changed: {report.losses}; {time.monotonic() - begun:.0f} s"
    )
    sys.exit(1 if report.wrong else 0)


if __name__ == "__main__":
    main()
