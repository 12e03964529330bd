"""Several writers, readers and maintainers on one store for minutes, restorations in between.

No row may be lost, doubled, changed or half seen. Writers insert vectors (half of the batches are
offered by all of them at the same time), replace rows, remove rows and join fragments, each turn in
a run. Readers look at the newest versions all the while, maintainers compact and drop old versions,
and one process takes snapshots, reads them back and now and then restores one. What was written
after a snapshot that is restored may be gone; all else has to be there. A batch is one merge; its
rows carry its number, so that a reader sees whether all of them are there.

    python -m benchmarks.torture_writers --minutes 30 --record writers.jsonl
    python -m benchmarks.torture_writers --minutes 30 --s3 --record writers.jsonl

``--s3`` starts moto's server (by the Python named in ``FEATURESTORE_S3_PYTHON``); ``--store`` takes
any empty place, a real bucket too. ``--record`` keeps a line of each run, and sums them up.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import secrets
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.torture_roles import (
    GROUPS,
    ROLES,
    ROWS_A_BATCH,
    VECTORS,
    Report,
    Shared,
    Span,
    failures,
    folds,
    vectors,
    wrong_vectors,
)
from featurestore.store import FeatureStore


def work(
    role: str, uri: str, number: int, minutes: float, start: Any, reports: Any, shared: Shared
) -> None:
    """One process, begun together with the others; an error ends it and is reported."""
    report = Report(role)
    FeatureStore.open(uri).merge(VECTORS, vectors("first"))  # imports what a write needs
    start.wait()
    try:
        ROLES[role](uri, number, time.time() + 60 * minutes, report, shared)
    except Exception:
        report.wrong.append(traceback.format_exc())
    reports.put(report)


def torture(
    uri: str, writers: int, readers: int, minutes: float, maintainers: int = 0
) -> list[Report]:
    """Run all processes to their end; their reports, with that of a final look at every row."""
    store = FeatureStore.open(uri, create=True)
    store.merge(VECTORS, vectors("first"))
    for group in range(GROUPS):
        store.merge_rows("failures", failures(group, "first"), replace=True)
    store.merge_rows("splits", folds("first"))
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    shared = Shared(context.Value("i", 0), context.Event())
    roles = ["writer"] * writers + ["reader"] * readers + ["maintainer"] * maintainers
    roles.append("snapshots")
    start = context.Barrier(len(roles))
    processes = [
        context.Process(target=work, args=(role, uri, number, minutes, start, reports, shared))
        for number, role in enumerate(roles)
    ]
    for process in processes:
        process.start()
    collected = []
    for _ in processes:
        try:
            collected.append(reports.get(timeout=60 * minutes + 600))
        except queue.Empty:
            collected.append(Report("?", wrong=["a process gave no report"]))
    for process in processes:
        process.join(60)
    collected.append(final_look(store, collected))
    return collected


def final_look(store: FeatureStore, reports: list[Report]) -> Report:
    """Every row that was written is there once, and no other."""
    found = Report("final look")
    with store.session() as session:
        rows = session.query(f'FROM "{VECTORS}"')
        splits = session.query("SELECT split, material_id FROM splits")
    undone = [span for report in reports for span in report.restored]
    batches = _expected((report.batches for report in reports), undone)
    kept = _expected((report.folds for report in reports), undone)
    ids = rows["structure_id"].to_pylist()
    there = Counter(name.rpartition("-")[0] for name in ids)
    names = set(splits["split"].to_pylist())
    found.done = {
        "rows expected": ROWS_A_BATCH * (len(batches.certain) + len(kept.certain)),
        "rows that may be undone": ROWS_A_BATCH * (len(batches.unsure) + len(kept.unsure)),
        "rows found": len(ids) + splits.num_rows,
        "lost": len(batches.certain - there.keys()) + len(kept.certain - names),
        "unexpected": len(there.keys() - batches.certain - batches.unsure)
        + len(names - kept.certain - kept.unsure),
        "torn": sum(n != ROWS_A_BATCH for n in there.values()),
        "doubled": len(ids)
        - len(set(ids))
        + splits.num_rows
        - splits.group_by(["split", "material_id"]).aggregate([]).num_rows,
    }
    found.wrong = wrong_vectors(rows) + [
        f"{found.done[what]} {what}"
        for what in ("lost", "unexpected", "torn", "doubled")
        if found.done[what]
    ]
    return found


@dataclass(frozen=True)
class _Expected:
    certain: set[str]
    unsure: set[str]


def _expected(
    writes: Iterable[dict[str, list[tuple[Span, bool]]]], undone: list[Span]
) -> _Expected:
    """The names whose rows have to be there, and those that a restoration may have undone."""
    certain, unsure = {"first"}, set()
    for of_one in writes:
        for name, made in of_one.items():
            (began, ended), there = made[-1]
            if any(began <= end and ended >= start for start, end in undone):
                unsure.add(name)
            elif there:
                certain.add(name)
    return _Expected(certain, unsure - certain)


@contextmanager
def local_s3() -> Iterator[str]:
    """A bucket of moto's S3 server, set up in this process's environment; a URI in it."""
    script = Path(__file__).parent.parent / "tests" / "store" / "s3_server.py"
    python = os.environ.get("FEATURESTORE_S3_PYTHON", sys.executable)
    with subprocess.Popen(
        [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            raise click.ClickException(
                "no S3 server: set FEATURESTORE_S3_PYTHON to a Python with moto[s3] and flask"
            )
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "torture",
            "AWS_SECRET_ACCESS_KEY": "torture",
        }
        request = urllib.request.Request(f"http://127.0.0.1:{port}/torture", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        yield f"s3://torture/{secrets.token_hex(4)}"
        server.stdin.close()


@click.command()
@click.option("--minutes", default=2.0, show_default=True, help="How long.")
@click.option("--writers", default=4, show_default=True, help="Number of writing processes.")
@click.option("--readers", default=4, show_default=True, help="Number of reading processes.")
@click.option("--maintainers", default=2, show_default=True, help="Number of maintaining ones.")
@click.option("--s3", is_flag=True, help="On a local S3 server instead of a local folder.")
@click.option("--store", "uri", help="On this empty place instead.")
@click.option("--record", type=click.Path(path_type=Path), help="File of runs to add this one to.")
def main(
    minutes: float,
    writers: int,
    readers: int,
    maintainers: int,
    s3: bool,
    uri: str | None,
    record: Path | None,
) -> None:
    """Torture a store and print what was expected and found; exit code 1 if anything is wrong."""
    started = time.monotonic()
    with ExitStack() as stack:
        if uri is None and s3:
            uri = stack.enter_context(local_s3())
        elif uri is None:
            uri = stack.enter_context(tempfile.TemporaryDirectory()) + "/store"
        reports = torture(uri, writers, readers, minutes, maintainers)
    done: Counter[str] = Counter()
    for report in reports:
        done.update(report.done)
    wrong = [f"{report.role}: {line}" for report in reports for line in report.wrong]
    place = "local S3 server" if s3 else "folder"
    lines = [{"place": place, "s": time.monotonic() - started, "done": done, "wrong": wrong}]
    if record is not None:
        with record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(lines[0]) + "\n")
        every = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
        lines = [line for line in every if line["place"] == place]
    print(f"{place}: {writers} writers, {readers} readers, {maintainers} maintainers")
    done = Counter()
    for line in lines:
        done.update(line["done"])
    done.update({"s": round(sum(line["s"] for line in lines)), "runs": len(lines)})
    for what, number in done.items():
        print(f"{what:24} {number:,}")
    wrong = [problem for line in lines for problem in line["wrong"]]
    print(f"{'wrong':24} {len(wrong)}")
    for problem in wrong[:20]:
        print(problem)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
