"""The machine and process that a run is on: what matters for its results, and whether it lives."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

from featurestore.identity import sha256_hex
from featurestore.machine.cluster import chosen_cluster
from featurestore.machine.processors import processors


def host_facts() -> dict[str, Any]:
    """What a result or a duration can depend on, and who the process is.

    ``processors`` are those this process may use, ``cluster`` is the Ray cluster it works on;
    ``threads`` and ``device`` are torch's, where it has been imported, else ``threads`` is the
    limit set by ``OMP_NUM_THREADS``. ``machine`` is a digest that says nothing about the machine
    but tells it from others; ``boot`` and ``process_start`` tell a process from a later one with
    the same number.
    """
    torch = sys.modules.get("torch")
    limit = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(limit) if limit.isdigit() else None
    device = "cpu"
    if torch is not None:
        threads = torch.get_num_threads()
        if torch.cuda.is_initialized():
            device = torch.cuda.get_device_name()
    cluster = chosen_cluster()
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "processors": processors(),
        "threads": threads,
        "device": device,
        "machine": _machine(),
        "boot": _boot(),
        "process_start": _process_start(os.getpid()),
    } | ({} if cluster is None else {"cluster": cluster.address})


def is_gone(pid: int | None, facts: dict[str, Any]) -> bool:
    """Whether the process of a run is known to have ended; unknown on another machine: False.

    Parameters
    ----------
    pid : int
        Its number.
    facts : dict
        `host_facts` as it recorded them.
    """
    if not is_this_machine(facts):
        return False
    if facts.get("boot") != _boot() or pid is None or pid <= 0:
        return True
    return _process_start(pid) != facts.get("process_start")


def is_this_machine(facts: dict[str, Any]) -> bool:
    """Whether `host_facts` were recorded on this machine."""
    return bool(facts.get("machine") == _machine())


@cache
def _machine() -> str:
    """A digest of the host's name, its installation and the container's processes."""
    parts = [platform.node()]
    parts += [_read(Path(path)) for path in ("/etc/machine-id", "/var/lib/dbus/machine-id")]
    space = Path("/proc/self/ns/pid")
    parts.append(str(space.readlink()) if space.is_symlink() else "")
    return sha256_hex("\n".join(parts).encode())[:12]


@cache
def _boot() -> str:
    return sha256_hex(_read(Path("/proc/sys/kernel/random/boot_id")).encode())[:12]


def _process_start(pid: int) -> str | None:
    """When the process began, in the kernel's ticks; None if there is none.

    Without /proc only "alive" is known.
    """
    if Path("/proc/self/stat").exists():
        fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        # A zombie has ended although its entry is still there.
        return None if not fields or fields[0] == "Z" else fields[19]
    if sys.platform == "win32":
        from featurestore.machine.windows import is_alive

        return "alive" if is_alive(pid) else None
    try:
        os.kill(pid, 0)
    except PermissionError:
        return "alive"
    except OSError:
        return None
    return "alive"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""
