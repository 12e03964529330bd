"""Names that a connection learns when a query first names them: most queries name few of many."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

_WORD = re.compile(r"(\w+)(\s*\()?")
# Queries about what there is, or whose text is made while they run, need all of it.
_NEED_ALL = {"describe", "desc", "pragma", "query", "show", "summarize"}
_SYSTEM = ("duckdb_", "information_schema", "pg_", "sqlite_")


@dataclass(eq=False)
class _Definition:
    names: frozenset[str]
    prefixes: tuple[str, ...]
    define: Callable[[], object]

    def is_named(self, words: Collection[str]) -> bool:
        if not self.names.isdisjoint(words):
            return True
        return bool(self.prefixes) and any(word.startswith(self.prefixes) for word in words)


class LazyNames:
    """Definitions of tables, views and macros that are still to be made.

    One is made before the first query whose text has one of its names as a word; that of a function
    ends with a parenthesis. A query that names something otherwise fails without it: then
    `define_all` and the same query again.
    """

    def __init__(self) -> None:
        self._waiting: list[_Definition] = []
        self._lock = threading.RLock()

    def add(
        self,
        define: Callable[[], object],
        names: Collection[str] = (),
        prefixes: tuple[str, ...] = (),
    ) -> None:
        """Wait with ``define`` for one of these names, or one that begins so; all in lower case.

        It may name what was added before it, and has to define that by `define_named` first. It may
        be called again if it has raised.
        """
        self._waiting.append(_Definition(frozenset(names), prefixes, define))

    def define_named(self, sql: str) -> None:
        """Make the definitions of all that the text names."""
        with self._lock:
            if not self._waiting:
                return
            words = set()
            for word, is_called in _WORD.findall(sql.lower()):
                words |= {word, f"{word}("} if is_called else {word}
            if words & _NEED_ALL or any(word.startswith(_SYSTEM) for word in words):
                self._define(self._waiting)
            else:
                self._define([one for one in self._waiting if one.is_named(words)])

    def define_all(self) -> bool:
        """Make all definitions; whether there were any left to make."""
        with self._lock:
            there_were = bool(self._waiting)
            self._define(self._waiting)
        return there_were

    def _define(self, wanted: list[_Definition]) -> None:
        for one in wanted:
            before = self._waiting
            if one not in before:
                continue  # made for one before it
            # What comes after it is not meant by the words of its own text.
            place = before.index(one)
            self._waiting, later = before[:place], before[place:]
            try:
                one.define()
                later.remove(one)
            finally:
                self._waiting += later
