"""Whether typed SQL is complete: ended by a semicolon that is not inside a text or a comment."""

from __future__ import annotations

import re

_CLOSED = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | (\$\w*\$).*?\1 | --[^\n]*(?:\n|$) | /\*.*?\*/""",
    re.VERBOSE | re.DOTALL,
)
_OPEN = re.compile(r"""['"] | \$\w*\$ | /\*""", re.VERBOSE)


def is_complete(text: str) -> bool:
    """Whether ``text`` ends a statement, so that it can be run."""
    left = _CLOSED.sub(" ", text)
    return _OPEN.search(left) is None and left.rstrip().endswith(";")


def is_in_text(text: str) -> bool:
    """Whether the end of ``text`` is inside an SQL text, after its opening quote."""
    opened = _OPEN.search(_CLOSED.sub(lambda found: " " * len(found[0]), text))
    return opened is not None and opened[0] == "'"
