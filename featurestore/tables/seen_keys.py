"""Which fragments of a table hold one of some values, without reading a fragment twice.

The files of a fragment never change, and in a bucket each look at a column is paid for; on a disk
it takes time that grows with the table. What is kept is eight bytes a value, a hash: another value
with the same hash costs a look, never a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.int64]


class SeenKeys:
    """Hashes of the columns of fragments that were looked at by this process."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[str, ...], Hashes] = {}

    def fragments(self, dataset: Any, name: str, values: pa.Array) -> list[Any]:
        """The dataset's fragments that may hold one of the values, in its column of text.

        Parameters
        ----------
        dataset : lance.LanceDataset
            One version of a table.
        name : str
            Of the column.
        values : pyarrow.Array
            Strings without nulls.
        """
        wanted = np.sort(_hashes(values))
        return [
            fragment
            for fragment in dataset.get_fragments()
            if _share_one(wanted, self._of(dataset, fragment, name))
        ]

    def _of(self, dataset: Any, fragment: Any, name: str) -> Hashes:
        # Rows that were deleted since are still among them.
        key = (dataset.uri, name, *(str(file.path) for file in fragment.metadata.files))
        if key not in self._hashes:
            values = pc.unique(fragment.to_table(columns=[name])[name])
            self._hashes[key] = np.sort(_hashes(values))
        return self._hashes[key]


def _share_one(few: Hashes, many: Hashes) -> bool:
    """Whether two sorted arrays have a value in common, by looking up the few among the many."""
    places = np.searchsorted(many, few)
    inside = places < len(many)
    return bool((many[places[inside]] == few[inside]).any())


def _hashes(values: pa.Array) -> Hashes:
    return np.fromiter(map(hash, values.to_pylist()), np.int64, len(values))
