"""How many processors this process is given, and threads that wait without using one up.

The one rule for all rooms. A container may have a share of a machine's time and yet see all of its
cores: as many threads as cores then stop each other. And threads of numerical libraries wait by
running in circles: beside other jobs a training of seconds takes minutes, and thirty seconds of
processor time in place of seven, since each waits for one that they keep from its core.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def processors() -> int:
    """Processors that this process may use: its affinity, and its container's share of time."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(cores, math.ceil(_share_of_time() or cores)))


def set_up_threads() -> None:
    """Settings of numerical libraries that are loaded later; what the user has set stands."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if _share_of_time() is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(processors()))


def _share_of_time() -> float | None:
    """The processors' time a second that control groups of either version allow; None: all."""
    try:
        if (_CGROUPS / "cpu.max").is_file():
            quota, period = (_CGROUPS / "cpu.max").read_text("ascii").split()
        else:
            folder = _CGROUPS / "cpu"
            quota = (folder / "cpu.cfs_quota_us").read_text("ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text("ascii").strip()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
