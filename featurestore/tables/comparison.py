"""Which of some rows a table has already, reading of it only what could be theirs.

A join of all keys of a table with those of a few rows costs what the table has, in time and memory:
2 s and half a gigabyte at two million rows. Lance filters while it reads, a tenth of that, and only
the rows that pass are joined (``python -m benchmarks.merging``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.quoting import SQL, column, quoted
from featurestore.tables.schemas import TableSchema
from featurestore.tables.seen_keys import SeenKeys

# Values in one filter: its text grows with them, and each further filter reads the column again.
_VALUES_A_FILTER = 50_000


def compared(
    rows: pa.Table,
    dataset: Any | None,
    expected: TableSchema,
    seen: SeenKeys | None = None,
) -> tuple[pa.Array, pa.Array]:
    """Numbers of the rows whose key is new, and of those whose content would change.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows of the schema, each key once.
    dataset : lance.LanceDataset or None
        The table; None where there is none yet.
    expected : TableSchema
        Its key and content.
    seen : SeenKeys, optional
        What is known of the table's keys, so that these are not read again.
    """
    key, content = list(expected.key), list(expected.content)
    numbered = rows.select(key + content).append_column(
        "__row", pa.array(range(rows.num_rows), pa.int64())
    )
    if dataset is None:
        return numbered["__row"].combine_chunks(), pa.array([], pa.int64())
    there = possible_matches(rows, dataset, key, key + content, seen)
    new = numbered.select([*key, "__row"]).join(there.select(key), key, join_type="left anti")
    pairs = numbered.join(there, key, join_type="inner", right_suffix="__there")
    differs = pa.chunked_array([pa.repeat(False, pairs.num_rows)])
    for name in content:
        differs = pc.or_(differs, pc.not_equal(pairs[name], pairs[name + "__there"]))
    return _sorted(new["__row"]), _sorted(pairs["__row"].filter(differs))


def possible_matches(
    rows: pa.Table,
    dataset: Any,
    key: list[str],
    columns: list[str],
    seen: SeenKeys | None = None,
) -> pa.Table:
    """The table's rows that share with one of ``rows`` the part of the key that tells most apart.

    Where there are more such values than the table has rows, all of its rows.
    """
    texts = [name for name in key if pa.types.is_string(rows.schema.field(name).type)]
    distinct = {name: pc.unique(rows[name]) for name in texts}
    lead = max(texts, key=lambda name: len(distinct[name]), default=None)
    if lead is None or len(distinct[lead]) >= dataset.count_rows():
        return dataset.to_table(columns=columns)
    among = None if seen is None else seen.fragments(dataset, lead, distinct[lead])
    if among == []:
        return dataset.schema.empty_table().select(columns)
    return pa.concat_tables(
        [
            dataset.scanner(columns=columns, filter=condition, fragments=among).to_table()
            for condition in _filters(lead, distinct[lead])
        ]
    )


def _filters(name: str, values: pa.Array) -> Iterator[SQL]:
    for first in range(0, len(values), _VALUES_A_FILTER):
        some = SQL(", ".join(map(quoted, values.slice(first, _VALUES_A_FILTER).to_pylist())))
        yield SQL(f"{column(name)} IN ({some})")


def _sorted(numbers: pa.ChunkedArray) -> pa.Array:
    return numbers.combine_chunks().sort()
