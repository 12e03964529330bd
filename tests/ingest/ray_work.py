"""What the workers of test_ray.py do: a module of its own, so that they import little."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError

SCALE = "FEATURESTORE_TEST_SCALE"


def scale(by: int) -> None:
    os.environ[SCALE] = str(by)


def refuse(reason: str) -> None:
    raise InvalidInputError(reason)


def die() -> None:
    os._exit(3)


def work(item: Any) -> Any:
    """What an item says: a number is scaled, a word is done."""
    if item == "hang":
        time.sleep(60)
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "raise":
        raise ValueError("as it was told")
    if item == "memory":
        return len(bytearray(8 << 30))
    if item == "odd result":
        return lambda: None
    if isinstance(item, Path):  # dies once
        if not item.exists():
            item.touch()
            os._exit(1)
        return "second"
    return item * int(os.environ[SCALE])
