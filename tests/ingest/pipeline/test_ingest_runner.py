"""The worker pool: every item has one result, whatever happens to the worker."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from featurestore.failure import Failure
from featurestore.machine.memory import machine_memory
from featurestore.machine.workers import WorkerPool, WorkersError
from ingest.pipeline.engines import InThisProcess, InWorkers

KILLED_PARENT = """
    import os, signal
    from featurestore.machine.workers import WorkerPool

    def process_id(item):
        return os.getpid()

    if __name__ == "__main__":
        with WorkerPool(2) as pool:
            print(next(pool.run(process_id, [(n, n) for n in range(4)], 9.0))[1], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
"""

_offset = 0


class OddError(Exception):
    """Cannot be sent to another process: its arguments are not those of its constructor."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def start(offset: int) -> None:
    global _offset
    _offset = offset


def work(item: int | str) -> int:
    if item == "raise":
        raise ValueError("item 'raise' is bad")
    if item == "odd":
        raise OddError("an odd", "error")
    if item == "die":
        os._exit(3)
    if item == "hang":
        time.sleep(60)
    if item == "big":
        return len(np.ones(2 * 2**30, dtype=np.uint8))
    return int(item) + _offset


def cannot_start(message: str) -> None:
    raise ImportError(message)


def run(items: list[int | str], **options: object) -> dict[int | str, int | Failure]:
    settings = {"workers": 2, "initializer": start, "initargs": (100,), "time_limit": 2.0} | options
    results = list(InWorkers(work, **settings).run((item, item) for item in items))
    assert len(results) == len(items)
    return dict(results)


def test_one_bad_item_costs_only_itself():
    items = [*range(10), "raise", "odd", "die", "hang", *range(10, 20)]
    results = run(items)
    assert {item: results[item] for item in range(20)} == {item: item + 100 for item in range(20)}
    assert results["raise"] == Failure("ValueError", "item 'raise' is bad")
    assert results["odd"] == Failure("OddError", "an odd error")
    assert results["hang"] == Failure("TimeLimit", "took more than 2 s")
    died = results["die"]
    assert isinstance(died, Failure) and died.error == "WorkerDied" and "code 3" in died.message


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process allocates")
def test_an_item_that_needs_too_much_memory_costs_only_itself():
    results = run([1, "big", 2], memory_limit=2**30)
    assert (results[1], results[2]) == (101, 102)
    assert results["big"] == Failure(
        "MemoryError", "needs more memory than a worker process may take"
    )


def test_work_in_this_process_is_called_with_some_items_at_a_time():
    calls = []

    def double(items):
        calls.append(list(items))
        return [2 * item for item in items]

    engine = InThisProcess(double, items_a_call=3)
    assert list(engine.run((str(n), n) for n in range(7))) == [(str(n), 2 * n) for n in range(7)]
    assert calls == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(engine.run([])) == []


def test_no_items_start_no_workers():
    with WorkerPool(2, cannot_start, ("never called",)) as pool:
        assert list(pool.run(work, iter([]), 1.0)) == []
        assert "_pool" not in vars(pool)


def test_workers_that_cannot_start_are_one_error_not_many_failures():
    with pytest.raises(WorkersError, match="cannot start: ImportError: no robocrys"):
        run([1, 2, 3], initializer=cannot_start, initargs=("no robocrys",))


def test_items_are_read_only_as_fast_as_they_are_worked_on():
    read = []

    def items() -> Iterator[tuple[int, int]]:
        for number in range(1000):
            read.append(number)
            yield number, number

    with WorkerPool(1, start, (0,)) as pool:
        results = pool.run(work, items(), 5.0)
        for taken in range(1, 40):
            next(results)
            assert len(read) <= taken + 8
        results.close()
    assert len(read) < 60


def test_a_pool_serves_several_runs_with_the_same_workers():
    with WorkerPool(1, start, (7,)) as pool:
        for _ in range(2):
            assert dict(pool.run(work, [("a", 1), ("b", 2)], 5.0)) == {"a": 8, "b": 9}


def test_workers_end_with_the_pool():
    with WorkerPool(2, start, (0,)) as pool:
        results = pool.run(work, ((n, n) for n in range(100)), 5.0)
        next(results)
        assert multiprocessing.active_children()
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="counts processes in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    path = tmp_path / "parent.py"
    path.write_text(textwrap.dedent(KILLED_PARENT))
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -9, done.stderr
    worker = Path("/proc") / done.stdout.strip()
    deadline = time.monotonic() + 10
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.exists()


def test_there_is_a_processor_and_memory():
    assert machine_memory() > 2**28
