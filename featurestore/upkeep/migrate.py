"""Brings the tables of an older store to the present schema, step by step, all or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from featurestore.errors import ConflictError, StorageError
from featurestore.store import FeatureStore
from featurestore.tables.schema_version import SCHEMA_VERSION, declared_schema
from featurestore.tables.schemas import TableSchema
from featurestore.tables.storage import hiding


@dataclass(frozen=True)
class Step:
    """A change of one table's schema.

    Parameters
    ----------
    version : int
        The schema version that it leads to.
    needed : callable
        What there is to do for a dataset and its declared schema, in words; empty if nothing.
    apply : callable
        Does it, in one commit.
    """

    version: int
    needed: Callable[[Any, TableSchema], str]
    apply: Callable[[Any, TableSchema], None]


@dataclass(frozen=True)
class Change:
    """A step that a table needs."""

    table: str
    version: int
    what: str


def _missing(dataset: Any, expected: TableSchema) -> list[pa.Field]:
    there = set(dataset.schema.names)
    return [field for field in expected.schema if field.nullable and field.name not in there]


def _missing_names(dataset: Any, expected: TableSchema) -> str:
    names = [field.name for field in _missing(dataset, expected)]
    return f"add the columns {', '.join(names)}, empty" if names else ""


def _add_missing(dataset: Any, expected: TableSchema) -> None:
    dataset.add_columns(pa.schema(_missing(dataset, expected)))


STEPS = (Step(SCHEMA_VERSION, _missing_names, _add_missing),)


def pending(store: FeatureStore) -> list[Change]:
    """What `migrate` would do."""
    return [
        Change(table, step.version, what)
        for table in store.tables()
        if (dataset := store.dataset(table)) is not None
        and (expected := declared_schema(dataset, table)) is not None
        for step in STEPS
        if (what := step.needed(dataset, expected))
    ]


def migrate(store: FeatureStore) -> list[Change]:
    """Bring every table to the present schema; without need, nothing is written.

    First a snapshot ``before-schema-N`` is taken. If a step fails, the tables changed by then are
    restored to it. A killed migration leaves tables that are old or new, each whole and readable;
    the same command does the rest.

    Returns
    -------
    list of Change
        What was done.

    Raises
    ------
    StorageError
        If the storage refuses; the store is as it was.
    """
    changes = pending(store)
    if not changes:
        return []
    name = f"before-schema-{SCHEMA_VERSION}"
    with suppress(ConflictError):  # an earlier migration was cut off after it
        store.create_snapshot(name, "taken by featurestore migrate")
    changes = pending(store)  # the snapshot's own run may have brought its table up to date
    done: list[tuple[str, int]] = []
    with store.run("migrate", {"schema": SCHEMA_VERSION}) as run:
        try:
            for change in changes:
                dataset: Any = store.dataset(change.table)
                expected = declared_schema(dataset, change.table)
                assert expected is not None
                for step in STEPS:
                    if step.needed(dataset, expected):
                        done.append((change.table, dataset.version))
                        step.apply(dataset, expected)
                        dataset = store.dataset(change.table)
            run.counts = {"tables": len(changes)}
        except (OSError, RuntimeError, ValueError) as error:
            for table, version in reversed(done):
                _restore(store, table, version)
            raise StorageError(
                f"the migration of {store.uri} failed and was undone: {error}. Free space or mend "
                "permissions there and run it again"
            ) from hiding(error)
    return changes


def _restore(store: FeatureStore, table: str, version: int) -> None:
    dataset = store.dataset(table)
    if dataset is not None and dataset.version != version:
        dataset.checkout_version(version).restore()
