"""Work on a table that is done again where another writer's commit came first."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

# How Lance words that another writer's commit came first, so that the same work is to be done
# again on top of it.
_CONFLICTS = ("conflict", "concurrent", "too much contention", "already exists")
_SECONDS_FOR_RETRIES = 300.0
_LONGEST_PAUSE = 5.0


def is_conflict(error: BaseException) -> bool:
    """Whether it says that another commit came first."""
    message = str(error).lower()
    return any(words in message for words in _CONFLICTS)


def retrying(action: Callable[[], Result], seconds: float = _SECONDS_FOR_RETRIES) -> Result:
    """The action's result, tried again for so many seconds while other writers' commits come first.

    Lance itself tries a commit a few times; beyond that the work is done afresh on what the others
    have committed, after pauses of random length so that writers do not stay in step.
    """
    give_up = time.monotonic() + seconds
    longest = 0.1
    while True:
        try:
            return action()
        except (OSError, RuntimeError, ValueError) as error:
            if not is_conflict(error) or time.monotonic() > give_up:
                raise
        time.sleep(random.uniform(0, longest))
        longest = min(2 * longest, _LONGEST_PAUSE)
