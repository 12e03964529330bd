"""Whether a store is what it says it is: every check in turn, and the removal of bad rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from featurestore.errors import StorageError
from featurestore.session import QueryError, Session, quoted
from featurestore.store import FeatureStore
from featurestore.tables.schema_version import declared_schema
from featurestore.upkeep.checks.content import (
    check_registered,
    check_structures,
    check_texts,
    check_vectors,
)
from featurestore.upkeep.checks.finding import RESTORE, Finding
from featurestore.upkeep.checks.indexes import check_indexes
from featurestore.upkeep.checks.references import check_references, check_runs
from featurestore.upkeep.checks.rows import check_table

_KEYS_A_REMOVAL = 500

_ACROSS_TABLES: tuple[Callable[[Session], Iterator[Finding]], ...] = (
    check_registered,
    check_structures,
    check_vectors,
    check_texts,
    check_references,
    check_runs,
    check_indexes,
)


def verify(store: FeatureStore) -> Iterator[Finding]:
    """Everything that is wrong with a store, and what interruptions have left in it.

    Vectors and structures are read in batches; only ids are held in memory.

    Parameters
    ----------
    store : FeatureStore
        It is only read.

    Yields
    ------
    Finding
        As they are found. Checks across tables are left out once a table itself is broken.
    """
    try:
        with store.session() as session:
            broken = False
            for table in sorted(session.versions):
                expected = declared_schema(session.dataset(table), table)
                if expected is None:
                    yield Finding(
                        table, "is no table of this design", "nothing reads it", wrong=False
                    )
                    continue
                for finding in check_table(session, table, expected):
                    broken |= finding.wrong and finding.rows is None
                    yield finding
            if not broken:
                for check in _ACROSS_TABLES:
                    yield from check(session)
    except (StorageError, QueryError) as error:
        yield Finding("store", str(error), RESTORE)


def mend(store: FeatureStore, findings: Iterable[Finding]) -> dict[str, int]:
    """Remove the rows that findings name; what was removed stays in earlier versions.

    Returns
    -------
    dict of str to int
        Rows removed, by table.
    """
    removed: dict[str, int] = {}
    for finding in findings:
        if finding.wrong and finding.rows is not None:
            for first in range(0, finding.rows.num_rows, _KEYS_A_REMOVAL):
                rows = finding.rows.slice(first, _KEYS_A_REMOVAL)
                store.remove(finding.table, _condition(rows))
            removed[finding.table] = removed.get(finding.table, 0) + finding.rows.num_rows
    return removed


def _condition(rows: pa.Table) -> str:
    """An SQL condition that holds for the rows with these keys."""
    return " OR ".join(
        "(" + " AND ".join(f"{name} {_equals(value)}" for name, value in row.items()) + ")"
        for row in rows.to_pylist()
    )


def _equals(value: object) -> str:
    if value is None:
        return "IS NULL"
    return f"= {quoted(value)}" if isinstance(value, str) else f"= {value}"
