"""Ctrl-C in two steps: the first finishes what is under way, the second stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Item = TypeVar("Item")


class Interruption:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def until_asked(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items up to the moment when the user asks to stop."""
        for item in items:
            if self.asked:
                return
            yield item

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print(
            "\nStopping: what is under way is finished and written; Ctrl-C again stops at once.",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def stop_on_interrupt() -> Iterator[Interruption]:
    """Take Ctrl-C as a request for the time of a ``with`` block.

    Outside the main thread, which alone gets signals, nothing changes.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = signal.signal(signal.SIGINT, interruption._ask)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
