"""Reading ahead and writing behind keep order, bound memory and lose no error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from featurestore.store import FeatureStore
from ingest.pipeline.job import Job, run_job
from ingest.pipeline.outcome import Outcome
from ingest.pipeline.overlap import WriteBehind, read_ahead


def test_items_come_in_order_and_only_so_far_ahead():
    read = []

    def source() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    with read_ahead(source(), 3) as items:
        for expected in range(10):
            assert next(items) == expected
            time.sleep(0.005)
            # Three wait, and one is in the hand of the reader.
            assert len(read) <= expected + 5
    assert len(read) < 20
    assert not _threads("read-ahead")


def test_every_item_of_a_source_and_none_of_an_empty_one():
    with read_ahead(range(1000), 4) as items:
        assert list(items) == list(range(1000))
    with read_ahead([], 4) as items:
        assert list(items) == []


def test_an_error_of_the_source_comes_in_its_place():
    def source() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with read_ahead(source(), 4) as items:
        assert next(items) == 1
        with pytest.raises(OSError, match="the disk is gone"):
            next(items)


def test_the_reader_ends_when_the_consumer_fails():
    with pytest.raises(ValueError), read_ahead(iter(int, 1), 2) as items:
        next(items)
        raise ValueError
    assert not _threads("read-ahead")


def test_writes_happen_one_after_another_beside_the_caller():
    written, callers = [], set()
    started = threading.Event()
    release = threading.Event()

    def write(batch: int) -> None:
        callers.add(threading.current_thread().name)
        started.set()
        assert release.wait(10)
        written.append(batch)

    with WriteBehind(write) as writer:
        writer.submit(1)
        assert started.wait(10)
        assert written == []
        release.set()
        writer.submit(2)
        assert written[0] == 1
        writer.submit(3)
    assert written == [1, 2, 3]
    assert len(callers) == 1 and threading.current_thread().name not in callers


def test_an_error_of_a_write_is_raised_by_the_next_one_or_at_the_end():
    def fail(batch: int) -> None:
        raise OSError(f"no space for {batch}")

    with pytest.raises(OSError, match="no space for 1"), WriteBehind(fail) as writer:
        writer.submit(1)
        writer.submit(2)
    with pytest.raises(OSError, match="no space for 3"), WriteBehind(fail) as writer:
        writer.submit(3)


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_results_gather_while_a_write_is_under_way(tmp_path):
    """The first write holds until fifty more results are there: they come in one, none is lost."""
    written: list[int] = []
    more = threading.Event()

    def write(results: dict[str, int]) -> None:
        written.append(len(results))
        assert more.wait(10)

    class Numbers:
        def run(self, items):
            for number, item in enumerate(items):
                yield item
                if number == 60:
                    more.set()

    store = FeatureStore.open(tmp_path / "store", create=True)
    outcome = Outcome("numbers")
    with store.run("numbers", {}) as run:
        job = Job("numbers", "", "numbers", "numbers", "materials", write, 10)
        numbers = ((f"i{number}", number) for number in range(1000))
        run_job(store, job, Numbers(), numbers, 1000, outcome, run)
    assert sum(written) == outcome.written == 1000
    assert written[0] == 10 and 50 < written[1] <= 80 and max(written) <= 80
