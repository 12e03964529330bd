"""Values of a store in Markdown: as text, as code, or fenced; they end no cell, line or fence."""

from __future__ import annotations

import re

from featurestore.output.terminal import escaped, one_line

# What begins links, images, emphasis, code, HTML and cells; an underscore inside a word does not.
_MARKS = re.compile(r"([\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[#+>-]|://|(?<=www)\.)")


def plain(text: str) -> str:
    """``text`` so that Markdown shows it as it is, in one line."""
    return _MARKS.sub(_shielded, one_line(text))


def _shielded(found: re.Match[str]) -> str:
    mark = found[0]
    # Addresses become links by themselves in many readers.
    return {"://": "&#58;//", ".": "&#46;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(
        mark, f"\\{mark}"
    )


def code(text: str) -> str:
    """``text`` as code within a line."""
    shown = one_line(text).replace("|", "¦")
    fence = "`" * (_longest_run(shown) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def fenced(language: str, text: str) -> str:
    """``text`` as a block of code."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{escaped(text)}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
