"""Runs users' SQL in a process of its own, so that no query can take the terminal along.

DuckDB can crash on a value that nests deep, and some of its functions neither look for Ctrl-C nor
keep to its limit of memory. `in_a_child` forks before anything has been opened: the child goes on
as if nothing had happened and prints its results itself, so that nothing is sent between the two,
and the parent waits, to end what does not end and to say what a crash was.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from featurestore.machine.memory import machine_memory
from featurestore.query.limits import SqlLimits

_LOOK = 0.1
# After Ctrl-C, or its time, a query has so long to stop by itself.
_GRACE = 2.0
# What a process takes beside its query: libraries, threads, the result as it is printed.
_BESIDE = 2 * 2**30
_SHARE_OF_MEMORY = 0.75
_STATE = struct.Struct("qd")
# Libraries whose threads do not survive a fork.
_THREADED = ("lance", "lancedb", "duckdb", "pyarrow", "torch")


class Watch:
    """What a child tells its parent: which query is under way, and since when."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _STATE.size)
        self._number = 0

    @contextmanager
    def query(self) -> Iterator[None]:
        """A query is under way."""
        self._number += 1
        _STATE.pack_into(self._shared, 0, self._number, time.monotonic())
        try:
            yield
        finally:
            _STATE.pack_into(self._shared, 0, 0, 0.0)

    def state(self) -> tuple[int, float]:
        """Number of the query under way and when it began; 0 if there is none."""
        number, since = _STATE.unpack_from(self._shared, 0)
        return int(number), float(since)


def in_a_child(limits: SqlLimits, again: bool = False) -> Watch:
    """Go on in a child process; the parent never returns from here, and exits as the child does.

    Where a process cannot be forked (another operating system, or threads that are there already)
    the work goes on in this one.

    Parameters
    ----------
    limits : SqlLimits
        Time and memory that the parent watches over, beyond what the session itself does.
    again : bool
        Whether to start another child after one that a query has ended: for a shell.

    Returns
    -------
    Watch
        In the child: what to tell of each query.
    """
    watch = Watch()
    if not _can_fork():
        return watch
    while True:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _limit_memory(limits)
            return watch
        parent = _Parent(child, watch, limits)
        code, problem = parent.wait()
        if problem:
            print(f"Error: {problem}", file=sys.stderr)
        if not (again and problem and not parent.terminated):
            sys.stdout.flush()
            os._exit(code)
        print("The shell goes on.", file=sys.stderr)


def _can_fork() -> bool:
    return (
        hasattr(os, "fork")
        and threading.active_count() == 1
        and not any(name in sys.modules for name in _THREADED)
    )


def _limit_memory(limits: SqlLimits) -> None:
    if sys.platform == "linux":
        import resource

        whole = machine_memory()
        most = whole if limits.memory is None else 2 * limits.memory + _BESIDE
        most = min(most, int(whole * _SHARE_OF_MEMORY) + _BESIDE)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Parent:
    """Waits for a child and ends it where it does not end by itself."""

    def __init__(self, child: int, watch: Watch, limits: SqlLimits) -> None:
        self._child, self._watch, self._limits = child, watch, limits
        self._interrupted: tuple[int, float] | None = None
        self._reason: str | None = None
        self.terminated = False

    def wait(self) -> tuple[int, str | None]:
        """The exit code, and what a user should know of an end that was not the child's own."""
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGINT: self._on_interrupt,
            signal.SIGTERM: self._on_terminate,
            signal.SIGALRM: lambda number, frame: self._look(),
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
        try:
            _, status = os.waitpid(self._child, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return code, None
        if self._reason is not None:
            return (130 if self._interrupted else 1), self._reason
        name = signal.Signals(-code).name
        if self.terminated:
            return 128 - code, None
        return 1, (
            f"the query ended its process ({name}): it nests too deep, or takes more memory than "
            "it may; the store is as it was"
        )

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        """The child, in the same terminal, has got it, too; when it came by `kill`, it has not."""
        query, _ = self._watch.state()
        if self._interrupted is None or self._interrupted[0] != query:
            self._interrupted = query, time.monotonic()
        if os.getpgid(self._child) != os.getpgid(0) or not sys.stdin.isatty():
            os.kill(self._child, signal.SIGINT)

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        self.terminated = True
        os.kill(self._child, signal.SIGTERM)

    def _look(self) -> None:
        query, since = self._watch.state()
        now = time.monotonic()
        if self._interrupted is not None and self._interrupted[0] != query:
            self._interrupted = None
        if not query:
            return
        if self._interrupted is not None and now - self._interrupted[1] > _GRACE:
            self._end("the query was cancelled")
        seconds = self._limits.seconds
        if seconds is not None and now - since > seconds + _GRACE:
            self._end(f"the query took more than {seconds:g} s and was stopped")

    def _end(self, reason: str) -> None:
        self._reason = reason
        os.kill(self._child, signal.SIGKILL)
