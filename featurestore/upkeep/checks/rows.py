"""Checks of a table by itself: readable, of its schema, keys present once, numbers finite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from featurestore.quoting import SQL, identifier
from featurestore.session import Session
from featurestore.tables.schemas import TableSchema
from featurestore.upkeep.checks.finding import RESTORE, Finding, command_for, removable

_ROWS_A_READ = 8192
# A model's weights are tens of megabytes: a batch of many would not be bounded.
_LARGE = {"weights", "content"}


@dataclass(frozen=True)
class _Condition:
    """Holds for a wrong value of a column; ``words`` say what such a value is."""

    column: str
    holds: SQL
    words: str


def check_table(session: Session, table: str, expected: TableSchema) -> Iterator[Finding]:
    """Everything about one table that needs no other."""
    dataset: Any = session.dataset(table)
    columns = list(_columns(dataset, expected))
    yield from columns
    if any(finding.wrong for finding in columns):
        return
    unreadable = _unreadable(dataset)
    if unreadable is not None:
        yield Finding(table, f"cannot be read: {unreadable}", RESTORE)
        return
    again = command_for(session, table)
    keys, of = SQL(", ".join(map(identifier, expected.key))), identifier(table)
    twice = session.query(
        f"SELECT {keys}, count(*) AS copies FROM {of} GROUP BY ALL HAVING copies > 1 "
        f"ORDER BY {keys}"
    )
    if twice.num_rows:
        yield removable(table, "keys occur more than once", twice.drop(["copies"]), again)
    conditions = [_Condition(*one) for one in _conditions(expected, dataset.schema.names)]
    for one in _violated(session, of, conditions):
        bad = session.query(f"SELECT {keys} FROM {of} WHERE {one.holds} ORDER BY {keys}")
        yield removable(table, f"rows whose {one.column} {one.words}", bad, again)


def _violated(session: Session, of: SQL, conditions: Sequence[_Condition]) -> Iterator[_Condition]:
    """The conditions that some row fulfils, found in one reading of the table."""
    counts = SQL(", ".join(f"count(*) FILTER ({one.holds})" for one in conditions))
    numbers = session.query(f"SELECT {counts} FROM {of}").columns
    for one, number in zip(conditions, numbers, strict=True):
        if number[0].as_py():
            yield one


def _columns(dataset: Any, expected: TableSchema) -> Iterator[Finding]:
    there = dataset.schema
    for field in expected.schema:
        if field.name not in there.names:
            # An earlier version of this package wrote the table.
            older = field.nullable
            fix = "featurestore migrate" if older else RESTORE
            yield Finding(expected.name, f"column {field.name!r} is missing", fix, not older)
        elif not there.field(field.name).type.equals(field.type):
            yield Finding(
                expected.name,
                f"column {field.name!r} is {there.field(field.name).type}, not {field.type}",
                RESTORE,
            )


def _unreadable(dataset: Any) -> str | None:
    """Read every column once, in bounded batches; the error if that fails."""
    small = [name for name in dataset.schema.names if name not in _LARGE]
    large = [name for name in dataset.schema.names if name in _LARGE]
    try:
        dataset.validate()
        for columns, size in ((small, _ROWS_A_READ), (large, 1)):
            if columns:
                for _ in dataset.to_batches(columns=columns, batch_size=size):
                    pass
    # Lance raises any of these; a panic in its Rust code is a BaseException of its own.
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        return str(error)
    return None


def _conditions(expected: TableSchema, there: Sequence[str]) -> Iterator[tuple[str, SQL, str]]:
    """Column, condition for a wrong value, and what such a value is."""
    for field in expected.schema:
        if field.name not in there:
            continue
        column = identifier(field.name)
        if not field.nullable and field.name not in _LARGE and not pa.types.is_nested(field.type):
            yield field.name, SQL(f"{column} IS NULL"), "is null"
        if pa.types.is_floating(field.type):
            yield field.name, SQL(f"NOT isfinite({column})"), "is not finite"
    for name, condition, what in _DOMAINS.get(expected.name, ()):
        if name in there:
            yield name, condition, what


_FOLDS = SQL("fold NOT IN ('train', 'val', 'test')")
_FOLD = ("fold", _FOLDS, "is none of train, val, test")
_PROBABILITIES = (
    "probabilities",
    SQL(
        "list_count(probabilities) < len(probabilities) OR list_min(probabilities) < 0 "
        # NaN is more than any number; those of a blend may add up to a little over 1
        "OR list_max(probabilities) > 1 + 1e-9 OR abs(list_sum(probabilities) - 1) > 1e-6"
    ),
    "are none",
)
#: Values that no command writes: column, condition, words.
_DOMAINS: dict[str, tuple[tuple[str, SQL, str], ...]] = {
    "materials": (
        ("n_atoms", SQL("n_atoms < 1"), "is below 1"),
        ("volume", SQL("volume <= 0"), "is not positive"),
        (
            "space_group_number",
            SQL("space_group_number NOT BETWEEN 1 AND 230"),
            "is not from 1 to 230",
        ),
        ("species", SQL("list_count(species) < len(species)"), "hold nulls"),
        ("lattice", SQL("list_count(lattice::DOUBLE[]) < 9"), "holds nulls"),
        ("frac_coords", SQL("list_count(frac_coords) < len(frac_coords)"), "hold nulls"),
    ),
    "splits": (_FOLD,),
    "predictions": (
        _FOLD,
        _PROBABILITIES,
        ("std", SQL("std < 0"), "is negative"),
        ("upper", SQL("upper < lower"), "is below lower"),
    ),
    "forecasts": (
        _PROBABILITIES,
        (
            "of_seeds",
            SQL("list_count(of_seeds) < len(of_seeds) OR NOT isfinite(list_sum(of_seeds))"),
            "hold what is no number",
        ),
        ("std", SQL("std < 0"), "is negative"),
        ("upper", SQL("upper < lower"), "is below lower"),
        ("percentile", SQL("percentile NOT BETWEEN 0 AND 100"), "is no percentile"),
    ),
    "sentences": (
        ("position", SQL("position < 0"), "is negative"),
        ("reference_tags", SQL("reference_tags IS NULL"), "are null"),
    ),
    "effects": (
        ("n", SQL("n < 0"), "is negative"),
        ("high", SQL("high < low"), "is below low"),
        ("p", SQL("p NOT BETWEEN 0 AND 1"), "is no probability"),
        ("p_holm", SQL("p_holm NOT BETWEEN 0 AND 1"), "is no probability"),
        ("model_ids", SQL("model_ids IS NULL"), "are null"),
    ),
    "models": (("history", SQL("history IS NULL"), "is null"),),
}
