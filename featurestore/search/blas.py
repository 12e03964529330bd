"""How many threads NumPy's matrix products use, process-wide, while several are under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController


class _Products:
    """The setting is the process's, so that the first to need it sets it and the last restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._threads = 1
        self._controller: Any = None
        self._limits: Any = None

    def enter(self) -> int:
        with self._lock:
            if not self._users:
                if self._controller is None:  # looking for the libraries takes milliseconds
                    self._controller = ThreadpoolController().select(user_api="blas")
                used = [pool["num_threads"] for pool in self._controller.info()]
                self._threads = max(used or [1])
                self._limits = self._controller.limit(limits=1)
            self._users += 1
            return self._threads

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._limits.restore_original_limits()


_PRODUCTS = _Products()


@contextmanager
def single_threaded_products() -> Iterator[int]:
    """Let each product run on the thread that calls it; gives the number of threads it had."""
    threads = _PRODUCTS.enter()
    try:
        yield threads
    finally:
        _PRODUCTS.leave()
