"""What kind of statement a query is, and its result in types that Arrow has."""

from __future__ import annotations

import re
from typing import Any

import duckdb

from featurestore.quoting import SQL, identifier, literal

_COMMENT = duckdb.token_type.comment
# Arrow wraps the first to -1, forgets the zone of the second, and has bytes for the others.
_TEXT_ALONE = re.compile(r"\b(UHUGEINT|TIME WITH TIME ZONE|BIT|BIGNUM|VARIANT)\b")


def kind_of(statement: Any) -> str:
    """The kind of a parsed statement; those that this DuckDB's Python does not know are "OTHER"."""
    try:
        return str(statement.type.name)
    except ValueError:
        return "OTHER"


def end_of_explain(sql: str) -> int:
    """Where the statement begins that an EXPLAIN with its options explains."""
    tokens = [(start, sql[start:]) for start, kind in duckdb.tokenize(sql) if kind != _COMMENT]
    depth = 0
    for start, rest in tokens[1:]:
        if rest.startswith("("):
            depth += 1
        elif rest.startswith(")"):
            depth -= 1
        elif depth == 0 and not re.match(r"(analyze|verbose)\b", rest, re.IGNORECASE):
            return int(start)
    return len(sql)


def as_arrow_has_it(relation: Any) -> Any:
    """A relation whose columns of types that Arrow lacks, or shows as bytes, are text."""
    kinds = [str(kind) for kind in relation.types]
    if not any(_TEXT_ALONE.search(kind) for kind in kinds):
        return relation
    columns = []
    for number, (kind, name) in enumerate(zip(kinds, relation.columns, strict=True), start=1):
        place = SQL(f"#{literal(number)}")  # several columns may share a name
        shown = SQL(f"CAST({place} AS VARCHAR)" if _TEXT_ALONE.search(kind) else place)
        columns.append(SQL(f"{shown} AS {identifier(name)}" if name else shown))
    return relation.project(", ".join(columns))


def without_prefix(message: str) -> str:
    """DuckDB's message without what says nothing to a user: its error class, and a stack trace."""
    message = message.partition("\n\nStack Trace:")[0]
    head, separator, tail = message.partition(" Error: ")
    return tail if separator and len(head.split()) <= 3 else message
