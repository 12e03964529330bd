"""Queries that somebody typed: their first rows, all of them, how DuckDB runs them."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from explain.explore.sessions import Source
from featurestore.errors import NameOrderWarning
from featurestore.query.vocabulary import load_vocabulary

#: Rows that a page shows.
SHOWN = 500


@dataclass(frozen=True)
class Result:
    """What a query gave.

    Parameters
    ----------
    rows : pyarrow.Table
        Its first rows, or all.
    more : bool
        Whether it has others.
    seconds : float
        How long it took.
    notes : tuple of str
        What a reader should know.
    """

    rows: pa.Table
    more: bool
    seconds: float
    notes: tuple[str, ...] = ()


def run(source: Source, query: str, first: int | None = SHOWN) -> Result:
    """The first rows of a query, or all of them for None; raises as `Session.read_only_query`."""
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", NameOrderWarning)
        rows = source.session.read_only_query(query, first=None if first is None else first + 1)
    notes = tuple(str(one.message) for one in said if one.category is NameOrderWarning)
    more = first is not None and rows.num_rows > first
    return Result(rows.slice(0, first), more, time.perf_counter() - started, notes)


def plan(source: Source, query: str) -> str:
    """How DuckDB would run a query, as it draws it."""
    rows = source.session.read_only_query(f"EXPLAIN {query}")
    return "\n".join(str(row["explain_value"]) for row in rows.to_pylist())


def vocabulary(source: Source) -> dict[str, Any]:
    """What completion offers: tables with their columns, macros with their parameters, names."""
    known = load_vocabulary(source.session)
    return {
        "tables": {name: list(columns) for name, columns in known.tables.items()},
        "macros": known.macros,
        "names": list(known.names),
    }
