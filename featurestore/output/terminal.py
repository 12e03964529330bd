"""What is printed cannot steer a terminal, and shows no credential.

A store's rows and the names in errors are whatever somebody wrote: on a terminal a control
character in them could move the cursor, hide text or answer for the user. `guard_streams` is the
one door: everything that Python writes to standard output and standard error goes through it.
"""

from __future__ import annotations

import re
import sys
from typing import IO, Any

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


class _Guarded:
    """A text stream that escapes what goes to a terminal, and hides credentials where asked to."""

    def __init__(self, stream: IO[str], hiding: bool) -> None:
        self._stream, self._hiding = stream, hiding
        self._terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Write, and say how many characters were given."""
        shown = redacted(text) if self._hiding else text
        if self._terminal:
            styles = _STYLES.findall(shown)
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


def drawing_stream() -> IO[str]:
    """Standard error for what is drawn by cursor movements of our own."""
    return sys.stderr.raw() if isinstance(sys.stderr, _Guarded) else sys.stderr
