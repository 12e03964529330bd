"""The macros of a session: files of SQL, each with the comment that documents it."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from featurestore.quoting import SQL

# The first needs no table, and the view of the materials needs it.
NAMES = "names"
MACRO_FILES = (
    *(NAMES, "texts", "property_rules", "classes"),
    *("training_view", "coverage", "vectors"),
)

_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)
_CREATED = re.compile(r"^(?=CREATE OR REPLACE TEMP (?:MACRO|VIEW) (\w+\(?))", re.MULTILINE)


def macro_source(name: str) -> SQL:
    """The SQL that defines one file of macros, with the comment that documents it."""
    file = resources.files("featurestore").joinpath("sql", f"{name}.sql")
    return SQL(file.read_text("utf-8"))


@cache
def macro_definitions(name: str) -> tuple[tuple[str, SQL], ...]:
    """Name and SQL of each macro (its name with a parenthesis) and view that a file defines."""
    source = _COMMENT.sub("", macro_source(name))
    found = list(_CREATED.finditer(source))
    ends = [one.start() for one in found[1:]] + [len(source)]
    return tuple(
        (one[1], SQL(source[one.start() : end])) for one, end in zip(found, ends, strict=True)
    )
