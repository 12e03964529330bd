"""Progress of long work: a bar with rate and time left on a terminal, log lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from featurestore.output.terminal import drawing_stream, is_quiet

_SECONDS_BETWEEN_LINES = 15.0


class Progress(Protocol):
    """What work reports to."""

    def update(self, done: int = 1) -> None:
        """Say that ``done`` more items are finished."""
        ...


class _Lines:
    """Lines now and then; the rate leaves out the start-up before the first items."""

    def __init__(self, total: int | None, description: str, unit: str) -> None:
        self._total, self._description, self._unit = total, description, unit
        self._done = self._first = 0
        self._start = self._last = time.monotonic()

    def update(self, done: int = 1) -> None:
        self._done += done
        now = time.monotonic()
        if not self._first:
            self._start, self._first = now, self._done
        elif now - self._last >= _SECONDS_BETWEEN_LINES:
            rate = (self._done - self._first) / max(now - self._start, 1e-9)
            of, left = "", ""
            if self._total:
                of = f"/{self._total}"
                left = f", {(self._total - self._done) / rate:.0f} s left"
            line = f"{self._description}: {self._done}{of} {self._unit} ({rate:.3g}/s{left})"
            print(line, file=sys.stderr, flush=True)
            self._last = now


class _Nothing:
    """Says nothing."""

    def update(self, done: int = 1) -> None:
        pass


class _Bar:
    """A bar whose rate, too, leaves out the start-up before the first items."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, done: int = 1) -> None:
        if not self._bar.n:
            self._bar.unpause()
            self._bar.start_t = self._bar.last_print_t
            self._bar.initial = done
        self._bar.update(done)


@contextmanager
def progress_bar(total: int | None, description: str, unit: str) -> Iterator[Progress]:
    """A progress bar on standard error if that is a terminal, else a line now and then.

    Parameters
    ----------
    total : int or None
        Number of items; None where it is unknown.
    description, unit : str
        What is done, to what: "structures", "texts", "epochs".
    """
    if is_quiet():
        yield _Nothing()
    elif sys.stderr.isatty():
        from tqdm import tqdm

        # The mean rate, not the latest: items differ in size.
        with tqdm(
            total=total,
            desc=description,
            unit=f" {unit}",
            dynamic_ncols=True,
            smoothing=0,
            file=drawing_stream(),
        ) as bar:
            yield _Bar(bar)
    else:
        yield _Lines(total, description, unit)
