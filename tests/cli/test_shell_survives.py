"""The shell, on a pseudo-terminal, outlives a query that crashes and one that hears no Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import synthetic_store as toy


class Terminal:
    """A program on a terminal of its own: what is typed, what is shown."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._main, other = pty.openpty()
        path = str(Path(__file__).parents[2])
        self.program = subprocess.Popen(
            command,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": path, "TERM": "xterm", "XDG_STATE_HOME": str(folder)},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)
        self.shown = ""

    def type(self, text: str) -> None:
        self.shown = ""
        os.write(self._main, text.encode())

    def wait_for(self, words: str, seconds: float = 90) -> None:
        """Read until the words are shown."""
        until = time.monotonic() + seconds
        while not re.search(words, self.shown) and time.monotonic() < until:
            if not select.select([self._main], [], [], 0.2)[0]:
                continue
            try:
                block = os.read(self._main, 65536)
            except OSError:
                break
            if b"\x1b[6n" in block:  # where is the cursor?
                os.write(self._main, b"\x1b[1;1R")
            text = block.decode("utf-8", "replace").replace("\r", "\n")
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        assert re.search(words, self.shown), self.shown


@pytest.mark.slow
def test_it_goes_on_after_a_crash_and_after_ctrl_c(tmp_path):
    store = toy.make_store(tmp_path / "store", 2)
    start = [sys.executable, "-c", "from featurestore.cli import main; main()", "sql"]
    terminal = Terminal([*start, "--store", store.uri], tmp_path)
    try:
        terminal.wait_for("Ctrl-D leaves")
        terminal.type("SELECT json_contains(repeat('[',1000000)||repeat(']',1000000), '[1]');\r")
        terminal.wait_for(r"SIGSEGV(?s:.*)The shell goes on(?s:.*)Ctrl-D leaves")
        terminal.type("SELECT 41 + 1 AS a;\r")
        terminal.wait_for(r"\n42\n")
        terminal.type("SELECT levenshtein(repeat('a',1000000), repeat('b',1000000));\r")
        terminal.wait_for("running for 1 s")
        terminal.type("\x03")
        terminal.wait_for(r"was cancelled(?s:.*)The shell goes on(?s:.*)Ctrl-D leaves", 60)
        terminal.type("SELECT 6 * 7 + 1 AS b;\r")
        terminal.wait_for(r"\n43\n")
        assert terminal.program.poll() is None
    finally:
        terminal.program.kill()
