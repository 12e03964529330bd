"""Keeps pandas out of commands that have no use for it: it takes a third of their start.

Arrow looks whether pandas is there before it makes its first array, and by that imports it. Where
it has been told that it is not, conversions to pandas that are asked for still import it, but of a
series that is handed to Arrow a NaN would not become a null. So this is for processes of commands
that no part of others' takes part in, and never for a program that uses the library.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

#: The commands that meet nothing but the store's own tables, and what workers send: numbers, texts.
PLAIN = frozenset(
    {
        *("ingest sample", "ingest splits", "ingest text"),
        *("backup", "coverage", "features", "info", "lineage", "maintain", "migrate", "properties"),
        *("quality", "remove", "rename", "snapshot", "sql", "verify"),
    }
)

_ASKING = ("featurestore", "lance", "pyarrow")


class _NoPandas:
    """A finder that says to Arrow, and to no one else, that there is no pandas."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """None, as to say: ask the next finder."""
        if name == "pandas" and _asking() in _ASKING:
            raise ModuleNotFoundError("pandas is not needed here", name=name)
        return None


def keep_pandas_out(words: Sequence[str]) -> None:
    """Do so for the rest of this process, if the words of a command line are a plain command's."""
    name, within, *_ = [*(word for word in words if not word.startswith("-")), "", ""]
    if {name, f"{name} {within}"} & PLAIN and "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())


def _asking() -> str:
    """The package whose code imports something."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_globals.get("__name__", ""):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
