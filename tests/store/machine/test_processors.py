"""How many processors a process is given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from featurestore.machine import processors as module
from featurestore.machine.processors import processors, set_up_threads


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight cores, and control groups to be written."""
    monkeypatch.setattr(module, "_CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("250000 100000", 3),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("nonsense", 8),
        ("1 0", 8),
    ],
)
def test_a_share_of_time_bounds_the_cores(cgroups, text, expected):
    (cgroups / "cpu.max").write_text(text)
    assert processors() == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("300000", 3)])
def test_control_groups_of_the_first_version(cgroups, quota, expected):
    (cgroups / "cpu").mkdir()
    (cgroups / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (cgroups / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert processors() == expected


def test_without_control_groups_all_cores_count(cgroups):
    assert processors() == 8


def test_threads_wait_asleep_and_are_no_more_than_the_share(cgroups, monkeypatch):
    set_up_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE" and "OMP_NUM_THREADS" not in os.environ
    (cgroups / "cpu.max").write_text("200000 100000")
    set_up_threads()
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_what_the_user_has_set_stands(cgroups, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    (cgroups / "cpu.max").write_text("200000 100000")
    set_up_threads()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["OMP_NUM_THREADS"]) == ("ACTIVE", "7")
