"""What runs in a Ray worker: the set-up with its checks, and calls of several items."""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from featurestore.identity import sha256_hex
from featurestore.machine.workers import attempt, limit_memory
from featurestore.rooms import ROOMS


@dataclass(frozen=True)
class Answer:
    """Results of a call, and the seconds it took in the worker."""

    results: Sequence[Any]
    seconds: float


class Worker:
    """An actor; it is made by ``ray.remote``."""

    def start(
        self,
        expected: Mapping[str, str],
        initializer: Callable[..., None],
        initargs: tuple[Any, ...],
        memory_limit: int | None,
    ) -> str | None:
        """Set up; returns why this worker cannot be used, if so."""
        # On one machine Ctrl-C reaches all processes; the driver decides when its workers end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        other = differences(expected, facts())
        if other:
            return f"the worker on {platform.node()} has other versions than this process: {other}"
        try:
            initializer(*initargs)
            if memory_limit is not None:
                limit_memory(memory_limit)
        except Exception as error:
            return f"{type(error).__name__} on {platform.node()}: {error}"
        return None

    def work(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Answer:
        """One result or `Failure` for each item, in order."""
        began = time.perf_counter()
        return Answer([attempt(function, item) for item in items], time.perf_counter() - began)


@cache
def facts() -> dict[str, str]:
    """What has to be the same where results of several machines meet in one table."""
    from featurestore.tables.runs import recorded_versions

    return {"python": platform.python_version(), **recorded_versions(), "code": _code()}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Which facts differ, for people; empty where none does."""
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    return ", ".join(
        f"{name} {found.get(name, 'none')} in place of {expected.get(name, 'none')}"
        for name in names
    )


def _code() -> str:
    """A digest of this package's source: a checkout keeps its version while it changes."""
    folder = Path(__file__).parents[2]
    files = sorted(path for room in ROOMS for path in (folder / room).rglob("*.py"))
    named = [f"{path.relative_to(folder)} {sha256_hex(path.read_bytes())}" for path in files]
    return sha256_hex("\n".join(named).encode())[:12]
