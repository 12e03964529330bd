"""What is printed cannot steer a terminal, and shows no credential.

A store's rows and the names in errors are whatever somebody wrote: on a terminal a control
character in them could move the cursor, hide text or answer for the user. `guard_streams` is the
one door: everything that Python writes to standard output and standard error goes through it.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from featurestore.errors import StorageError
from featurestore.redaction import redacted

# C0 and C1 controls but for line breaks and tabs; marks that turn the direction of writing or show
# nothing; halves of characters.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
# Colours that our own messages have.
_STYLES = re.compile("\x1b\\[(?:0|1|2|3[1-7])m")


def escaped(text: str) -> str:
    """``text`` with control characters, and those that reorder or hide text, as ``\\x1b`` and such.

    Line breaks and tabs stay.

    >>> escaped("a\\x1b[2Jb\\u202e")
    'a\\\\x1b[2Jb\\\\u202e'
    """
    return _UNSAFE.sub(lambda found: _code(found[0]), text)


def one_line(text: str) -> str:
    """Like `escaped`, with line breaks and tabs shown, too: for a cell of a table."""
    return escaped(text.replace("\n", "⏎").replace("\t", "⇥"))


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


class _Log:
    """A file to which complete lines are added, each with its time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise StorageError(f"cannot write the log file {path}: {error}") from error
        self._begun = ""

    def write(self, text: str) -> None:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line:
                moment = datetime.now(UTC).isoformat(timespec="seconds")
                self._file.write(f"{moment} {escaped(_STYLES.sub('', line))}\n")
        self._file.flush()


class _Guarded:
    """A text stream that escapes what goes to a terminal, and hides credentials where asked to."""

    def __init__(self, stream: IO[str], hiding: bool) -> None:
        self._stream, self._hiding = stream, hiding
        self._terminal = stream.isatty()
        self._plain = bool(os.environ.get("NO_COLOR"))
        self.quiet = self.verbose = False
        self.log: _Log | None = None

    def write(self, text: str) -> int:
        """Write, and say how many characters were given."""
        shown = redacted(text) if self._hiding else text
        if self.log is not None:
            self.log.write(shown)
        if self._terminal:
            styles = ["" if self._plain else style for style in _STYLES.findall(shown)]
            parts = [escaped(part) for part in _STYLES.split(shown)]
            # Our styles go between the escaped parts again.
            shown = parts[0] + "".join(s + p for s, p in zip(styles, parts[1:], strict=True))
        self._stream.write(shown)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def raw(self) -> IO[str]:
        """The stream itself, for what draws on a terminal: progress and prompts."""
        return self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_streams() -> None:
    """Let standard output and standard error go through here from now on."""
    if not isinstance(sys.stdout, _Guarded):
        sys.stdout = _Guarded(sys.stdout, hiding=False)  # type: ignore[assignment]
    if not isinstance(sys.stderr, _Guarded):
        sys.stderr = _Guarded(sys.stderr, hiding=True)  # type: ignore[assignment]


def set_quiet() -> None:
    """Let notes and progress be left out from now on."""
    if isinstance(sys.stderr, _Guarded):
        sys.stderr.quiet = True


def is_quiet() -> bool:
    """Whether notes and progress are left out."""
    return isinstance(sys.stderr, _Guarded) and sys.stderr.quiet


def set_verbose() -> None:
    """Let errors be shown with their tracebacks from now on."""
    if isinstance(sys.stderr, _Guarded):
        sys.stderr.verbose = True


def is_verbose() -> bool:
    """Whether errors are shown with their tracebacks."""
    return isinstance(sys.stderr, _Guarded) and sys.stderr.verbose


def log_to(path: Path) -> None:
    """Add everything that goes to standard error to a file, too, and notes that are left out.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    if isinstance(sys.stderr, _Guarded) and (sys.stderr.log is None or sys.stderr.log.path != path):
        sys.stderr.log = _Log(path)


def logged(text: str) -> None:
    """Put a line into the log file alone."""
    if isinstance(sys.stderr, _Guarded) and sys.stderr.log is not None:
        sys.stderr.log.write(redacted(text) + "\n")


def drawing_stream() -> IO[str]:
    """Standard error for what is drawn by cursor movements of our own."""
    return sys.stderr.raw() if isinstance(sys.stderr, _Guarded) else sys.stderr
