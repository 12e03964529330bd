"""Whether a store is what it says it is: every check in turn, and the quarantine of bad rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator

from featurestore.errors import StorageError
from featurestore.session import QueryError, Session
from featurestore.store import FeatureStore
from featurestore.tables.schema_version import declared_schema
from featurestore.upkeep.checks.content import (
    check_registered,
    check_sound,
    check_structures,
    check_texts,
    check_vectors,
)
from featurestore.upkeep.checks.finding import RESTORE, Finding
from featurestore.upkeep.checks.indexes import check_indexes
from featurestore.upkeep.checks.references import check_references, check_runs
from featurestore.upkeep.checks.rows import check_table
from featurestore.upkeep.quarantine import quarantine

_ACROSS_TABLES: tuple[Callable[[Session], Iterator[Finding]], ...] = (
    check_sound,
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
        # What a session warns of is found, and named in full, below.
        with warnings.catch_warnings(action="ignore"), store.session() as session:
            broken = False
            for loss in session.losses:
                yield Finding(loss.table, f"{loss}: its newest rows are missing", RESTORE)
            for table in sorted(session.versions):
                if table in session.unusable:
                    yield Finding(table, session.unusable[table], RESTORE)
                    broken = True
                    continue
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
                    yield from _made(check, session)
    except (StorageError, QueryError) as error:
        yield Finding("store", str(error), RESTORE)


def _made(check: Callable[[Session], Iterator[Finding]], session: Session) -> Iterator[Finding]:
    """The findings of a check; that it cannot be made, whatever the reason, is one, too."""
    try:
        yield from check(session)
    except Exception as error:
        what = f"{check.__name__.removeprefix('check_')} cannot be checked"
        yield Finding("store", f"{what}: {type(error).__name__}: {error}", RESTORE)


def mend(store: FeatureStore, findings: Iterable[Finding]) -> dict[str, int]:
    """Move the rows that findings name to the table ``quarantine``, as a run of its own.

    Returns
    -------
    dict of str to int
        Rows moved, by table.
    """
    moved: dict[str, int] = {}
    with store.run("verify", {"mend": True}) as run:
        for finding in findings:
            if finding.wrong and finding.rows is not None:
                count = quarantine(store, finding.table, finding.rows, finding.problem, run)
                moved[finding.table] = moved.get(finding.table, 0) + count
        run.counts = dict(moved)
    return moved
