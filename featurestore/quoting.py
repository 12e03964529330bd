"""The only way from a value or a name to SQL: literals, identifiers, and a type for what is SQL.

Parameters of a query come first. Where SQL takes none (macros, names of tables and columns, Lance's
filters), a value goes through `literal` or `quoted`, a name through `identifier`. What has the type
`SQL` was made of these and of constants alone: `tests/test_sql_lint.py` looks at every place that
makes one.
"""

from __future__ import annotations

import math
import re
from typing import NewType

from featurestore.errors import InvalidInputError

#: Text that is SQL by construction: constants of this package, and what this module returns.
SQL = NewType("SQL", str)

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(text: str) -> SQL:
    """``text`` as an SQL string literal, for DuckDB and for Lance's filters.

    Raises
    ------
    InvalidInputError
        If it is no text that UTF-8 can hold.
    """
    return SQL("'" + _storable(text).replace("'", "''") + "'")


def identifier(name: str) -> SQL:
    """``name`` as a quoted SQL identifier; raises as `quoted`, and if it is empty."""
    if not name:
        raise InvalidInputError("a name of a table or column is empty")
    return SQL('"' + _storable(name).replace('"', '""') + '"')


def column(name: str) -> SQL:
    """The name of a column or table as it is; in Lance's filters double quotes make a text.

    Raises
    ------
    InvalidInputError
        If it has other characters than a-z, 0-9 and _.
    """
    if not _PLAIN.fullmatch(name):
        raise InvalidInputError(f"{name!r} is no name of a column or table")
    return SQL(name)


def literal(value: object) -> SQL:
    """``value`` as an SQL literal: None, a truth value, a number or a text.

    Raises
    ------
    InvalidInputError
        If it is something else, or a number that is not finite.
    """
    if value is None:
        return SQL("NULL")
    if isinstance(value, bool):
        return SQL("true" if value else "false")
    if isinstance(value, int):
        return SQL(str(int(value)))
    if isinstance(value, float) and math.isfinite(value):
        return SQL(repr(float(value)))
    if isinstance(value, str):
        return quoted(value)
    raise InvalidInputError(f"a value of type {type(value).__name__} cannot be put into SQL")


def _storable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(f"{text!r} is no text: it holds half a character") from None
    return text
