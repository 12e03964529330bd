"""A user's own file that has the name of a room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("room", ["train", "ingest", "explain"])
def test_a_file_that_hides_a_room_is_named(tmp_path: Path, room: str) -> None:
    (tmp_path / f"{room}.py").write_text("x = 1\n")
    root = Path(__file__).parents[2]
    command = "from featurestore.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", command, room, "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert f"{tmp_path / room}.py hides this package's '{room}'" in result.stderr
    assert "Traceback" not in result.stderr
