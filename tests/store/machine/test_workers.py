"""The pool goes on after the whole of it has broken, a bounded number of times."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from typing import Any

import pytest

from featurestore.machine.workers import WorkerPool, WorkersError, no_initializer


class PoolInTurn:
    """Stands in for pebble's pool: the first ``breaks`` of them break at once."""

    made = 0

    def __init__(self, breaks: int) -> None:
        type(self).made += 1
        self.whole = type(self).made > breaks

    def schedule(self, function: Any, args: list[Any], timeout: float | None) -> Future[Any]:
        future: Future[Any] = Future()
        if self.whole:
            future.set_result(function(*args))
        else:
            future.set_exception(BrokenProcessPool("All workers expired"))
        return future

    def stop(self) -> None:
        pass

    def join(self) -> None:
        pass


def pool_that_breaks(monkeypatch: pytest.MonkeyPatch, times: int) -> WorkerPool:
    monkeypatch.setattr(PoolInTurn, "made", 0)
    made = cached_property(lambda self: PoolInTurn(times))
    made.__set_name__(WorkerPool, "_pool")
    monkeypatch.setattr(WorkerPool, "_pool", made)
    return WorkerPool(1, no_initializer)


@pytest.mark.parametrize("times", [0, 1, 2])
def test_every_item_has_a_result(monkeypatch, times):
    with pool_that_breaks(monkeypatch, times) as pool:
        assert dict(pool.run(abs, ((-n, -n) for n in range(9)))) == {-n: n for n in range(9)}
    assert PoolInTurn.made == times + 1


def test_a_pool_that_never_holds_is_given_up(monkeypatch):
    with pool_that_breaks(monkeypatch, 99) as pool, pytest.raises(WorkersError, match="expired"):
        list(pool.run(abs, [(1, 1)]))
    assert PoolInTurn.made == 3
