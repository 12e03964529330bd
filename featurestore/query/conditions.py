"""Users' conditions on materials: one SQL expression over metadata and the properties it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from featurestore.catalogue import find_property
from featurestore.classes import classes_of
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.property_rules import values_sql
from featurestore.query.limits import check_text
from featurestore.quoting import SQL, identifier
from featurestore.session import QueryError, Session
from featurestore.session_tables import MATERIAL_COLUMNS

_UNKNOWN_COLUMN = re.compile(r'[Cc]olumn "([^"]+)" not found')

#: What is chosen from where nothing else is said.
ALL_MATERIALS = SQL("FROM materials")
_NOTHING = SQL("")

# A quoted name may hold what looks like a string; it is a name nevertheless.
_STRING = re.compile(r"""'(?:[^']|'')*'|("(?:[^"]|"")*")""")


def materials_where(
    session: Session,
    where: str | None,
    columns: Sequence[str] = ("material_id",),
    *,
    among: SQL = ALL_MATERIALS,
    parameters: Sequence[Any] = (),
    property_source: str | None = None,
) -> pa.Table:
    """Columns of the materials for which a condition holds.

    Parameters
    ----------
    session : Session
        Where to look.
    where : str or None
        An SQL expression over the columns of ``materials`` and the names of properties; where a
        material lacks a property it is null. None: no condition.
    columns : sequence of str
        What to return, likewise columns of ``materials`` or names of properties.
    among : str
        Our own query with the columns of ``materials``, and ``parameters`` for it.
    property_source : str, optional
        Source of the values of properties that come from several.

    Returns
    -------
    pyarrow.Table
        In no particular order.

    Raises
    ------
    InvalidInputError
        If the condition is not one expression, or a property comes from several sources.
    UnknownNameError
        If it names neither a column nor a property.
    QueryError
        If DuckDB cannot run it.
    """
    shown = SQL(", ".join(map(identifier, columns)))
    return select_materials(
        session,
        shown,
        where,
        naming=columns,
        among=among,
        parameters=parameters,
        property_source=property_source,
    )


def select_materials(
    session: Session,
    shown: SQL,
    where: str | None,
    *,
    naming: Sequence[str] = (),
    then: SQL = _NOTHING,
    among: SQL = ALL_MATERIALS,
    parameters: Sequence[Any] = (),
    property_source: str | None = None,
) -> pa.Table:
    """Our own selection from the materials for which a condition holds.

    Parameters
    ----------
    shown : str
        What stands after SELECT.
    naming : sequence of str
        The columns and properties that ``shown`` and ``then`` name.
    then : str
        What stands after the condition, such as an order.
    where, among, parameters, property_source
        As for `materials_where`, whose errors it raises.
    """
    condition = SQL(f"WHERE {as_condition(where)}" if where is not None else "")
    named = property_sources(session, [where or "", *map(identifier, naming)], property_source)
    of_classes = properties_of_classes(session, named)
    try:
        # Read-only and with external access off, like every query from outside.
        return session.read_only_query(
            f"SELECT {shown} FROM {with_properties(named, among, of_classes)} {condition} {then}",
            parameters,
        )
    except QueryError as error:
        unknown = _UNKNOWN_COLUMN.search(str(error))
        if unknown is None:
            raise
        known = [*MATERIAL_COLUMNS, *_all_properties(session)]
        raise UnknownNameError("column or property", unknown[1], known) from error


def property_sources(
    session: Session, texts: Iterable[str], property_source: str | None = None
) -> dict[str, str]:
    """The stored properties that SQL names, each with the source of its values.

    Raises
    ------
    InvalidInputError
        If one comes from several sources, and ``property_source`` is none of them.
    """
    found = {}
    for name in named_properties(session, texts):
        # Of several sources one must be chosen; a source without this property is no choice.
        sources = [] if property_source is None else _sources(session, name)
        chosen = property_source if property_source in sources else None
        found[name], _ = find_property(session, name, chosen)
    return found


def properties_of_classes(session: Session, sources: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the properties, each with its source, whose values are classes."""
    return tuple(
        name
        for name, source in sources.items()
        if classes_of(find_property(session, name, source)[1])
    )


def with_properties(
    sources: Mapping[str, str], among: SQL = ALL_MATERIALS, of_classes: Collection[str] = ()
) -> SQL:
    """SQL for materials with a column for each property; null where a material lacks it.

    Parameters
    ----------
    sources : mapping of str to str
        The source of each property's values, by its name.
    among : str
        Our own query with the columns of ``materials``.
    of_classes : collection of str
        The properties whose columns hold names of classes; in SQL 'true' and 'false' are truth
        values, too.
    """
    values = [
        values_sql(name, source, called=name, named=name in of_classes)
        for name, source in sources.items()
    ]
    joins = SQL("".join(f" LEFT JOIN ({one}) USING (material_id)" for one in values))
    return SQL(f"(SELECT * FROM ({among}){joins})")


def as_condition(where: str) -> SQL:
    """A condition from outside as it goes into a query; raises as `as_expression` does."""
    return as_expression(where, "condition")


def as_expression(text: str, what: str = "expression") -> SQL:
    """An SQL expression from outside as it goes into a query, in parentheses.

    Raises
    ------
    InvalidInputError
        If it is no SQL expression, several, or one followed by something else.
    """
    check_text(text)
    try:
        duckdb.SQLExpression(text)
    except duckdb.Error as error:
        reason = str(error).partition(": ")[2].splitlines()[0]
        raise InvalidInputError(
            f"{text!r} is not an SQL {what} (not one expression): {reason}"
        ) from None
    # The line break ends a comment that the expression may end with.
    return SQL(f"({text}\n)")


def named_properties(session: Session, texts: Iterable[str]) -> list[str]:
    """The stored properties whose names occur in SQL outside its strings, but for columns'."""
    columns = {name.lower() for name in MATERIAL_COLUMNS}
    text = "\n".join(_STRING.sub(lambda found: found[1] or "''", text) for text in texts)
    return [
        name
        for name in _all_properties(session)
        if name.lower() not in columns
        and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
    ]


def _all_properties(session: Session) -> list[str]:
    found = session.query("SELECT DISTINCT property FROM properties ORDER BY property")
    return list(found["property"].to_pylist())


def _sources(session: Session, name: str) -> list[str]:
    found = session.query("SELECT DISTINCT source FROM properties WHERE property = ?", [name])
    return list(found["source"].to_pylist())
