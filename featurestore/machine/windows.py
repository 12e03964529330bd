"""What Windows is asked through its own functions, since Python has none for it.

``os.kill(pid, 0)``, which elsewhere asks whether a process lives, sends Ctrl-C there.
"""

from __future__ import annotations

import ctypes
from typing import Any

_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *(
            (name, ctypes.c_uint64)
            for name in (
                *("total_physical", "free_physical", "total_page", "free_page"),
                *("total_virtual", "free_virtual", "free_extended"),
            )
        ),
    )


def physical_memory() -> int:
    """Bytes of memory of this machine; 0 where Windows does not say."""
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if not _kernel().GlobalMemoryStatusEx(ctypes.byref(status)):
        return 0
    return int(status.total_physical)


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number which has not ended."""
    kernel = _kernel()
    handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
    if not handle:
        return False
    code = ctypes.c_uint32()
    try:
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    finally:
        kernel.CloseHandle(handle)
    return not known or code.value == _STILL_ACTIVE


def _kernel() -> Any:
    return ctypes.windll.kernel32  # type: ignore[attr-defined]
