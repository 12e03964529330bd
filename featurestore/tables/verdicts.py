"""Rows that cannot be used, looked for once in what does not change: a version of a table."""

from __future__ import annotations

import pickle
from hashlib import sha256
from typing import Any

from featurestore.tables.soundness import unsound_rows

#: Key of a row, and what is wrong with it.
Unsound = list[tuple[dict[str, Any], str]]


class Verdicts:
    """What is unsound in the version of each table that was read last."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[bytes, Unsound]] = {}

    def unsound(self, table: str, dataset: Any) -> Unsound:
        """As `unsound_rows`; a version that was read before is not read again."""
        # By its manifest, which names files that are never written again: a number may come back.
        files = sha256(pickle.dumps(dataset)).digest()
        known, found = self._last.get(table, (b"", []))
        if known != files:
            found = unsound_rows(table, dataset)
            self._last[table] = files, found
        return found
