"""What the processes of `torture_writers` do, each for as long as it is told to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.identity import sha256_hex
from featurestore.store import FeatureStore
from featurestore.tables.exclusion import BusyStoreError
from featurestore.upkeep.maintenance import maintain

VECTORS = "structure_embeddings__torture_0123456789"
WIDTH = 64
ROWS_A_BATCH = 20
GROUPS = 5
_RUN = "torture"
# Versions superseded for less stay: no reader of this benchmark takes longer.
_KEPT_DAYS = 2 / 24 / 60
_TURNS_A_RESTORATION = 4
_TRIES = 5


Span = tuple[float, float]


@dataclass
class Report:
    """What one process did and what it saw that must not be.

    ``batches`` and ``folds`` have, for each name, when each write of it began and ended, and
    whether it put the rows there; ``restored`` has from when to when writes may have been undone.
    """

    role: str
    done: dict[str, int] = field(default_factory=dict)
    batches: dict[str, list[tuple[Span, bool]]] = field(default_factory=dict)
    folds: dict[str, list[tuple[Span, bool]]] = field(default_factory=dict)
    restored: list[Span] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        self.done[what] = self.done.get(what, 0) + number


@dataclass
class Shared:
    """What the processes share: how many restorations began or ended, and a plea to pause."""

    restorations: Any
    pause: Any


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


def write(uri: str, number: int, until: float, report: Report, shared: Shared) -> None:
    """Insert, replace, remove and compact until the time is up, each turn in a run."""
    store = FeatureStore.open(uri, create=True)
    rng = random.Random(number)
    turn = 0
    while time.time() < until:
        if shared.pause.is_set():
            time.sleep(0.1)
            continue
        try:
            with store.run("torture", {"writer": number}):
                _write_turn(store, number, turn + 1, rng, report)
            turn += 1
        except BusyStoreError:
            report.count("gave way")
            time.sleep(0.1)


def _write_turn(
    store: FeatureStore, number: int, turn: int, rng: random.Random, report: Report
) -> None:
    batch = f"shared-{turn:06}" if turn % 2 else f"own-{number}-{turn:06}"
    with _noted(report.batches, batch, there=True):
        report.count("rows written", store.merge(VECTORS, vectors(batch)).written)
    if turn % 3 == 0:
        rows = failures(rng.randrange(GROUPS), f"{number}-{turn}")
        store.merge_rows("failures", rows, replace=True)
        report.count("replacements")
    if turn % 5 == 0:
        name = f"{number}-{turn:06}"
        with _noted(report.folds, name, there=True):
            store.merge_rows("splits", folds(name))
        if rng.random() < 0.4:
            there = [name for name, writes in report.folds.items() if writes[-1][1]]
            gone = rng.choice(sorted(there))
            with _noted(report.folds, gone, there=False):
                store.remove("splits", f"split = '{gone}'")
            report.count("removals")
    if turn % 10 == 0:
        store.compact(rng.choice([VECTORS, "failures", "splits"]))
        report.count("compactions")
    report.count("merges")


@contextmanager
def _noted(writes: dict[str, list[tuple[Span, bool]]], name: str, *, there: bool) -> Iterator[None]:
    began = time.time()
    yield
    writes.setdefault(name, []).append(((began, time.time()), there))


def read(uri: str, number: int, until: float, report: Report, shared: Shared) -> None:
    """Look at the newest versions until the time is up."""
    store = FeatureStore.open(uri)
    most, restorations = 0, 0
    while time.time() < until:
        before = shared.restorations.value
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
            quiet = restorations % 2 == 0 and shared.restorations.value == restorations
            if rows < most and quiet:
                report.wrong.append(f"{rows} rows after {most}")
            most, restorations = rows, before
            report.wrong += wrong_vectors(session.query(f'FROM "{VECTORS}" USING SAMPLE 50 ROWS'))
        report.count("reads")


def wrong_vectors(rows: pa.Table) -> list[str]:
    """The rows whose vector is not that of their key."""
    return [
        f"vector of {row['structure_id']}"
        for row in rows.to_pylist()
        if not np.array_equal(np.asarray(row["vector"], np.float32), vector_of(row["structure_id"]))
    ]


def snapshot(uri: str, number: int, until: float, report: Report, shared: Shared) -> None:
    """Take snapshots, read them back later, restore some, and delete the older ones."""
    store = FeatureStore.open(uri)
    turn = 0
    while time.time() < until:
        turn += 1
        began = time.time()
        store.create_snapshot(f"at-{turn}")
        report.count("snapshots")
        time.sleep(1)
        for made in store.snapshots():
            past = FeatureStore.open(uri, at=made.name)
            for name, rows in made.rows.items():
                dataset = past.dataset(name)
                if dataset is None or dataset.count_rows() != rows:
                    report.wrong.append(f"snapshot {made.name} of {name}")
        if turn % _TURNS_A_RESTORATION == 0:
            _restore(store, f"at-{turn}", report, shared)
            report.restored.append((began, time.time()))
        for made in store.snapshots()[:-3]:
            store.delete_snapshot(made.name)


def _restore(store: FeatureStore, name: str, report: Report, shared: Shared) -> None:
    """Restore a snapshot, however often a writer is in the way; in the end the writers pause."""
    shared.restorations.value += 1
    for attempt in range(10 * _TRIES):
        if attempt == _TRIES:
            shared.pause.set()
        try:
            store.restore_snapshot(name)
            report.count("restorations")
            break
        except BusyStoreError:
            report.count("restorations refused")
            time.sleep(0.2)
    shared.pause.clear()
    shared.restorations.value += 1


def keep(uri: str, number: int, until: float, report: Report, shared: Shared) -> None:
    """Compact, refresh and drop old versions until the time is up."""
    store = FeatureStore.open(uri)
    while time.time() < until:
        try:
            with store.run("maintain", {"maintainer": number}):
                maintain(store, keep_days=_KEPT_DAYS)
            report.count("maintained")
        except BusyStoreError:
            report.count("gave way")
        time.sleep(1)


ROLES: dict[str, Callable[[str, int, float, Report, Shared], None]] = {
    "writer": write,
    "reader": read,
    "maintainer": keep,
    "snapshots": snapshot,
}
