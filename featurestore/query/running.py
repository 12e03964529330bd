"""Queries that Ctrl-C cancels, and that show on a terminal how long they have taken."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa

from featurestore.output.terminal import drawing_stream
from featurestore.session import Parameters, Session

Result = TypeVar("Result")

_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BEFORE_REPORT = 1.0
_LOOKS_FOR_A_START = 20


def run_query(session: Session, sql: str, parameters: Parameters = ()) -> pa.Table:
    """One reading statement from outside, as `Session.read_only_query`, by `interruptible`.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, once the query has stopped.
    InvalidInputError, QueryError
        As `Session.read_only_query`.
    """
    return interruptible(session, lambda: session.read_only_query(sql, parameters))


def interruptible(session: Session, work: Callable[[], Result]) -> Result:
    """The result of work that does little but query a session.

    It runs in a thread of its own, so that Ctrl-C reaches DuckDB at any moment. DuckDB knows no
    percentage for tables it reads through Arrow: what is shown is time and bytes read.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, once the query under way has stopped.
    """
    results: list[Result] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # also a panic of Lance's; raised again below
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="query", daemon=True)
    with _report(session) as look:
        try:
            thread.start()
            while not done.wait(_SECONDS_BETWEEN_LOOKS):
                look()
        except KeyboardInterrupt:
            _stop(session, thread, done)
            raise
    if errors:
        raise errors[0]
    return results[0]


def _stop(session: Session, thread: threading.Thread, done: threading.Event) -> None:
    """Interrupt the query until it has ended: what comes before DuckDB has begun is lost."""
    looks = 0
    while not done.wait(_SECONDS_BETWEEN_LOOKS):
        session.interrupt()
        looks += 1
        if thread.ident is None and looks == _LOOKS_FOR_A_START:
            return  # Ctrl-C came before there was a thread


@contextmanager
def _report(session: Session) -> Iterator[Callable[[], None]]:
    """What to call while waiting; on a terminal it keeps one line on standard error up to date."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    started = time.monotonic()
    shown = 0
    drawing = drawing_stream()

    def look() -> None:
        nonlocal shown
        seconds = int(time.monotonic() - started)
        if seconds >= max(_SECONDS_BEFORE_REPORT, shown + 1):
            shown = seconds
            read = session.bytes_read() / 1e6
            line = f"running for {seconds} s, {read:,.0f} MB read; Ctrl-C cancels"
            drawing.write(f"\r{line}\x1b[K")
            drawing.flush()

    try:
        yield look
    finally:
        if shown:
            drawing.write("\r\x1b[K")
            drawing.flush()
