"""A short round of the crash torture, so that it cannot rot: a few kills, a few failing writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_kills_and_failing_writes_lose_nothing():
    command = [sys.executable, "-m", "benchmarks.torture_crashes", "--kills", "4", "--no-growth"]
    done = subprocess.run(
        [*command, "--refusals", "2", "--most", "1"],
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if name != "TORTURE_SHIM"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kills = re.search(r"SIGKILL: (\d+)", done.stdout)
    assert kills and int(kills[1]) >= 4
    assert "found wrong: 0; rows lost, doubled or changed: 0" in done.stdout
