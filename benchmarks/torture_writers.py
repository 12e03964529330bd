"""Several writers and readers on one store for minutes: no row lost, doubled or half seen.

Writers insert vectors (half of the batches are offered by all of them at the same time), replace
rows, remove rows and join fragments. Readers look at the newest versions all the while, and one
process takes snapshots and reads them back. A batch is one merge; its rows carry its number, so
that a reader sees whether all of them are there.

    python -m benchmarks.torture_writers --minutes 2
    python -m benchmarks.torture_writers --minutes 2 --s3

``--s3`` starts moto's server (by the Python named in ``FEATURESTORE_S3_PYTHON``); ``--store`` takes
any empty place, a real bucket too.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import random
import secrets
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from featurestore.identity import sha256_hex
from featurestore.store import FeatureStore

VECTORS = "structure_embeddings__torture_0123456789"
WIDTH = 64
ROWS_A_BATCH = 20
GROUPS = 5
_RUN = "torture"


@dataclass
class Report:
    """What one process did and what it saw that must not be."""

    role: str
    done: dict[str, int] = field(default_factory=dict)
    batches: set[str] = field(default_factory=set)
    folds: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        self.done[what] = self.done.get(what, 0) + number


def vectors(batch: str) -> pa.Table:
    """The rows of a batch: vectors are a function of their key, so that any mix shows."""
    ids = [f"{batch}-{number:03}" for number in range(ROWS_A_BATCH)]
    flat = np.concatenate([vector_of(name) for name in ids])
    return pa.table(
        {
            "structure_id": ids,
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat), WIDTH),
            "run_id": [_RUN] * len(ids),
        }
    )


def vector_of(structure_id: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector that depends on the id alone."""
    seed = int(sha256_hex(structure_id.encode())[:8], 16)
    return np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)


def failures(group: int, message: str) -> list[dict[str, Any]]:
    """Rows that are replaced all the time, with one message for a whole group."""
    return [
        {
            "stage": "torture",
            "item": f"item-{number}",
            "context": f"group-{group}",
            "error": "Error",
            "message": message,
            "run_id": _RUN,
        }
        for number in range(ROWS_A_BATCH)
    ]


def folds(batch: str) -> list[dict[str, Any]]:
    """Rows that are inserted and some removed again."""
    return [
        {
            "split": batch,
            "property": "*",
            "material_id": f"m-{number}",
            "fold": "train",
            "run_id": _RUN,
        }
        for number in range(ROWS_A_BATCH)
    ]


def write(uri: str, number: int, until: float, report: Report) -> None:
    """Insert, replace, remove and compact until the time is up."""
    store = FeatureStore.open(uri, create=True)
    rng = random.Random(number)
    turn = 0
    while time.time() < until:
        turn += 1
        batch = f"shared-{turn:06}" if turn % 2 else f"own-{number}-{turn:06}"
        report.count("rows written", store.merge(VECTORS, vectors(batch)).written)
        report.batches.add(batch)
        if turn % 3 == 0:
            rows = failures(rng.randrange(GROUPS), f"{number}-{turn}")
            store.merge_rows("failures", rows, replace=True)
            report.count("replacements")
        if turn % 5 == 0:
            name = f"{number}-{turn:06}"
            store.merge_rows("splits", folds(name))
            report.folds.add(name)
            if rng.random() < 0.4:
                gone = rng.choice(sorted(report.folds))
                store.remove("splits", f"split = '{gone}'")
                report.folds.discard(gone)
                report.count("removals")
        if turn % 10 == 0:
            store.compact(rng.choice([VECTORS, "failures", "splits"]))
            report.count("compactions")
        report.count("merges")


def read(uri: str, number: int, until: float, report: Report) -> None:
    """Look at the newest versions until the time is up."""
    store = FeatureStore.open(uri)
    most = 0
    while time.time() < until:
        with store.session() as session:
            torn = session.query(
                f"SELECT regexp_replace(structure_id, '-[0-9]+$', '') AS batch, count(*) AS n, "
                f'count(DISTINCT structure_id) AS keys FROM "{VECTORS}" GROUP BY batch '
                f"HAVING n <> {ROWS_A_BATCH} OR keys <> {ROWS_A_BATCH}"
            ).to_pylist()
            report.wrong += [f"batch {row['batch']}: {row['n']} rows" for row in torn]
            mixed = session.query(
                "SELECT context, count(*) AS n, count(DISTINCT message) AS messages FROM failures "
                f"GROUP BY context HAVING n <> {ROWS_A_BATCH} OR messages <> 1"
            ).to_pylist()
            report.wrong += [f"group {row['context']}: {row}" for row in mixed]
            halves = session.query(
                f"SELECT split, count(*) AS n FROM splits GROUP BY split HAVING n <> {ROWS_A_BATCH}"
            ).to_pylist()
            report.wrong += [f"split {row['split']}: {row['n']} rows" for row in halves]
            rows = session.query(f'SELECT count(*) AS n FROM "{VECTORS}"')["n"][0].as_py()
            if rows < most:
                report.wrong.append(f"{rows} rows after {most}")
            most = max(most, rows)
            report.wrong += wrong_vectors(session.query(f'FROM "{VECTORS}" USING SAMPLE 50 ROWS'))
        report.count("reads")


def wrong_vectors(rows: pa.Table) -> list[str]:
    """The rows whose vector is not that of their key."""
    return [
        f"vector of {row['structure_id']}"
        for row in rows.to_pylist()
        if not np.array_equal(np.asarray(row["vector"], np.float32), vector_of(row["structure_id"]))
    ]


def snapshot(uri: str, number: int, until: float, report: Report) -> None:
    """Take snapshots, read them back later, and delete the older ones."""
    store = FeatureStore.open(uri)
    turn = 0
    while time.time() < until:
        turn += 1
        store.create_snapshot(f"at-{turn}")
        report.count("snapshots")
        time.sleep(1)
        for made in store.snapshots():
            past = FeatureStore.open(uri, at=made.name)
            for name, rows in made.rows.items():
                dataset = past.dataset(name)
                if dataset is None or dataset.count_rows() != rows:
                    report.wrong.append(f"snapshot {made.name} of {name}")
        for made in store.snapshots()[:-3]:
            store.delete_snapshot(made.name)


ROLES: dict[str, Callable[[str, int, float, Report], None]] = {
    "writer": write,
    "reader": read,
    "snapshots": snapshot,
}


def work(role: str, uri: str, number: int, minutes: float, start: Any, reports: Any) -> None:
    """One process, begun together with the others; an error ends it and is reported."""
    report = Report(role)
    FeatureStore.open(uri).merge(VECTORS, vectors("first"))  # imports what a write needs
    start.wait()
    try:
        ROLES[role](uri, number, time.time() + 60 * minutes, report)
    except Exception:
        report.wrong.append(traceback.format_exc())
    reports.put(report)


def torture(uri: str, writers: int, readers: int, minutes: float) -> list[Report]:
    """Run all processes to their end; their reports, with that of a final look at every row."""
    store = FeatureStore.open(uri, create=True)
    store.merge(VECTORS, vectors("first"))
    for group in range(GROUPS):
        store.merge_rows("failures", failures(group, "first"), replace=True)
    store.merge_rows("splits", folds("first"))
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    roles = ["writer"] * writers + ["reader"] * readers + ["snapshots"]
    start = context.Barrier(len(roles))
    processes = [
        context.Process(target=work, args=(role, uri, number, minutes, start, reports))
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
    batches = set().union({"first"}, *(report.batches for report in reports))
    wanted = {f"{batch}-{number:03}" for batch in batches for number in range(ROWS_A_BATCH)}
    ids = rows["structure_id"].to_pylist()
    kept = set().union({"first"}, *(report.folds for report in reports))
    found.done = {
        "rows expected": len(wanted) + ROWS_A_BATCH * len(kept),
        "rows found": len(ids) + splits.num_rows,
        "lost": len(wanted - set(ids)) + len(kept - set(splits["split"].to_pylist())),
        "unexpected": len(set(ids) - wanted) + len(set(splits["split"].to_pylist()) - kept),
        "doubled": len(ids)
        - len(set(ids))
        + splits.num_rows
        - splits.group_by(["split", "material_id"]).aggregate([]).num_rows,
    }
    found.wrong = wrong_vectors(rows) + [
        f"{found.done[what]} rows {what}"
        for what in ("lost", "unexpected", "doubled")
        if found.done[what]
    ]
    return found


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
@click.option("--s3", is_flag=True, help="On a local S3 server instead of a local folder.")
@click.option("--store", "uri", help="On this empty place instead.")
def main(minutes: float, writers: int, readers: int, s3: bool, uri: str | None) -> None:
    """Torture a store and print what was expected and found; exit code 1 if anything is wrong."""
    started = time.monotonic()
    if uri is not None:
        reports = torture(uri, writers, readers, minutes)
    elif s3:
        with local_s3() as place:
            reports = torture(place, writers, readers, minutes)
    else:
        with tempfile.TemporaryDirectory() as folder:
            reports = torture(f"{folder}/store", writers, readers, minutes)
    done: dict[str, int] = {}
    for report in reports:
        for what, number in report.done.items():
            done[what] = done.get(what, 0) + number
    place = uri or ("local S3 server" if s3 else "local folder")
    print(f"{place}: {writers} writers, {readers} readers, {time.monotonic() - started:.0f} s")
    for what, number in done.items():
        print(f"{what:16} {number:,}")
    wrong = [f"{report.role}: {line}" for report in reports for line in report.wrong]
    print(f"{'wrong':16} {len(wrong)}")
    for line in wrong[:20]:
        print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
