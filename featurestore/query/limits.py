"""What a query from outside may take: time, memory, rows, and how deep its text may nest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from featurestore.errors import InvalidInputError

#: Longest text of a statement. DuckDB cannot be interrupted while it parses.
MOST_CHARACTERS = 1_000_000
#: Deepest nesting of brackets, in a statement or in the JSON of its parameters.
DEEPEST = 400

_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class SqlLimits:
    """Limits for one query; None is no limit.

    Parameters
    ----------
    seconds : float, optional
        Time it may take.
    memory : int, optional
        Bytes that DuckDB may take before it spills to disk or gives up; half the machine's memory
        by default. Its result may take as much again.
    rows : int, optional
        Rows that it may give.
    """

    seconds: float | None = None
    memory: int | None = None
    rows: int | None = None


@contextmanager
def interrupted_after(
    seconds: float | None, interrupt: Callable[[], None]
) -> Iterator[threading.Event]:
    """Call ``interrupt`` if the block takes longer; the event says whether it did. None: never."""
    late = threading.Event()
    if seconds is None:
        yield late
        return

    def stop() -> None:
        late.set()
        interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def check_text(sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> None:
    """Raise for text that would keep DuckDB's parser busy, or end the process.

    Raises
    ------
    InvalidInputError
        If a statement is longer than `MOST_CHARACTERS`, or it or a parameter nests deeper than
        `DEEPEST`.
    """
    if len(sql) > MOST_CHARACTERS:
        raise InvalidInputError(
            f"the query has {len(sql):,} characters, more than {MOST_CHARACTERS:,}; give long "
            "lists as parameters"
        )
    values = parameters.values() if isinstance(parameters, Mapping) else parameters
    for text in (sql, *_texts(values)):
        if _depth(text) > DEEPEST:
            raise InvalidInputError(f"the query nests brackets more than {DEEPEST} deep")


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, str))


def _depth(text: str) -> int:
    """Deepest nesting of brackets, those in strings and comments included."""
    if not _OPENING & set(text):
        return 0
    depth = deepest = 0
    for character in text:
        if character in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif character in _CLOSING:
            depth = max(depth - 1, 0)
    return deepest
