"""Adds rows whose keys a version of a table lacks, without having Lance look for them once more.

Lance's merge joins what it is given with the keys of the whole table, by an index of theirs or not,
so that each write of an ingestion costs more than the one before. Here the keys are known to be new
at one version. The rows become fragments of their own, which are committed on top of that version
and no other: the operation is Lance's ``Merge``, which states the table's whole list of fragments.
Unlike an append, it is refused where any other commit since has inserted, changed, removed or moved
rows, and so is any of theirs after it; who is refused begins anew with what the other has written,
so that no key comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

#: Below, Lance's merge costs no more, and writers of other keys are in each other's way less.
FEWEST_ROWS = 100_000

# A commit states all fragments, 0.1 ms each: where there are more than that beside those of a usual
# size they are joined, so that a row is written about twice, however long an ingestion is.
_MOST_FRAGMENTS = 256
_USUAL_ROWS = 500_000

# Of Lance's message Manifest (table.proto): the highest number that a fragment has ever had. Lance
# has no other word for it, and a number that is given again would be taken for a fragment that an
# index has seen.
_MAX_FRAGMENT_ID = 11
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}


def next_fragment(dataset: Any) -> int | None:
    """The number of the next new fragment; None where rows are to be left to Lance's merge.

    Parameters
    ----------
    dataset : lance.LanceDataset
        One version of a table.
    """
    if dataset.count_rows() < FEWEST_ROWS or dataset.has_stable_row_ids:
        return None
    for field, value in _numbers(dataset._ds.serialized_manifest()):
        if field == _MAX_FRAGMENT_ID:
            return value + 1
    return None


def has_too_many_fragments(dataset: Any) -> bool:
    """Whether a version's small fragments are to be joined."""
    fragments = dataset.stats.dataset_stats()["num_fragments"]
    return bool(fragments > _MOST_FRAGMENTS + dataset.count_rows() // _USUAL_ROWS)


def append(dataset: Any, rows: pa.Table, first: int) -> Any:
    """Commit rows on top of a version, if that is still the newest; the version that they make.

    Parameters
    ----------
    dataset : lance.LanceDataset
        The version; it has none of their keys.
    rows : pyarrow.Table
        In the dataset's schema.
    first : int
        The next fragment's number, of `next_fragment`.

    Raises
    ------
    OSError
        A conflict, where there are others' commits since; nothing of the rows is visible then.
    """
    import lance
    from lance.fragment import write_fragments

    made = write_fragments(rows, dataset, mode="append")
    for number, fragment in enumerate(made, first):
        fragment.id = number
    there = [fragment.metadata for fragment in dataset.get_fragments()]
    operation = lance.LanceOperation.Merge([*there, *made], dataset.lance_schema)
    return lance.LanceDataset.commit(dataset, operation, read_version=dataset.version)


def _numbers(message: bytes) -> Iterator[tuple[int, int]]:
    """Number and value of a protocol buffer's fields that are integers, whatever else it has."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        tag = varint()
        kind = tag & 7
        if kind == _VARINT:
            yield tag >> 3, varint()
        elif kind == _BYTES:
            size = varint()
            place += size
        else:
            place += _FIXED[kind]
