"""What other systems lack or do otherwise, by stand-ins for their functions."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import featurestore.machine.host as host
import featurestore.machine.windows as windows
import featurestore.machine.workers as workers
import featurestore.query.guard as guard
from featurestore.files import OPENING, read_regular
from featurestore.machine.memory import machine_memory
from featurestore.machine.processors import processors


class Kernel:
    """Stands in for kernel32.dll."""

    def __init__(self, alive: set[int]) -> None:
        self.alive, self.closed = alive, 0

    def GlobalMemoryStatusEx(self, status: Any) -> int:
        status._obj.total_physical = 3 << 30
        return 1

    def OpenProcess(self, rights: int, inherit: bool, pid: int) -> int:
        return pid if pid else 0

    def GetExitCodeProcess(self, handle: int, code: Any) -> int:
        code._obj.value = 259 if handle in self.alive else 0
        return 1

    def CloseHandle(self, handle: int) -> int:
        self.closed += 1
        return 1


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Windows, as far as these modules ask."""
    made = Kernel(alive={7})
    monkeypatch.setattr(windows, "_kernel", lambda: made)
    monkeypatch.setattr(sys, "platform", "win32")
    return made


def test_memory_without_sysconf(monkeypatch, kernel):
    monkeypatch.delattr(os, "sysconf")
    whole = windows.physical_memory()
    assert whole == 3 << 30
    assert machine_memory() <= whole
    monkeypatch.setattr(sys, "platform", "other")
    assert 0 < machine_memory() <= 8 << 30


def test_memory_where_sysconf_lacks_the_names(monkeypatch):
    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    assert 0 < machine_memory() <= 8 << 30


def test_a_process_is_asked_for_and_never_signalled_on_windows(monkeypatch, kernel):
    def killed(pid: int, number: int) -> None:
        raise AssertionError("os.kill sends Ctrl-C there")

    monkeypatch.setattr(os, "kill", killed)
    monkeypatch.setattr(Path, "exists", lambda path: False)  # no /proc
    assert host._process_start(7) == "alive"
    assert host._process_start(8) is None
    assert kernel.closed == 2
    assert host._process_start(0) is None


def test_without_proc_a_process_is_known_by_a_signal_that_does_nothing(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert host._process_start(os.getpid()) == "alive"
    assert host._process_start(2**22 + 1) is None


def test_the_structure_of_memory_has_the_size_that_windows_expects():
    assert ctypes.sizeof(windows._MemoryStatus) == 64


def test_processors_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


def test_limits_are_asked_for_on_linux_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "resource", None)  # its import would fail
    workers.limit_memory(1)
    guard._limit_memory(None)  # type: ignore[arg-type]


def test_without_fork_a_shell_runs_its_queries_itself(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert not guard._can_fork()


def test_line_ends_are_read_as_they_are(tmp_path: Path):
    """Windows opens descriptors for text unless it is told otherwise."""
    assert OPENING & getattr(os, "O_BINARY", 0) == getattr(os, "O_BINARY", 0)
    path = tmp_path / "lines"
    path.write_bytes(b"a\r\nb\x1ac")
    assert read_regular(path) == b"a\r\nb\x1ac"


def test_names_of_files_suit_every_system():
    from featurestore.output.names import file_name

    assert "/" not in (name := file_name("a/b:c", "d")) and ":" not in name
    assert file_name("con").lower().partition(".")[0] != "con"
