"""What the functions share: the choice of all materials, and arguments as runs record them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ingest.stages.selection import Selection

ALL = Selection()


def work_arguments(workers: int | None, time_limit: float, retry_failures: bool) -> dict[str, Any]:
    """How the work is spread, as it is recorded."""
    return {"workers": workers, "time_limit": time_limit, "retry_failures": retry_failures}


def assignments(settings: Mapping[str, Any], options: Sequence[str]) -> tuple[str, ...]:
    """Settings that are no options of the command, as ``NAME=VALUE``."""
    return tuple(f"{name}={value}" for name, value in settings.items() if name not in options)
