"""How much memory there is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: Where neither the system nor the container says: what a small machine of today has.
_UNKNOWN = 8 << 30


def machine_memory() -> int:
    """Bytes of memory that this machine, or the container around this process, has."""
    total = _physical_memory()
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text("utf-8").strip() if limit.is_file() else "max"
    return total if text == "max" else min(total, int(text))


def _physical_memory() -> int:
    if hasattr(os, "sysconf"):
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (ValueError, OSError):  # a system without these names
            return _UNKNOWN
    if sys.platform == "win32":
        from featurestore.machine.windows import physical_memory

        return physical_memory() or _UNKNOWN
    return _UNKNOWN
