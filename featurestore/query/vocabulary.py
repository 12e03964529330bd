"""What can be typed in a query on a store: tables with their columns, macros, names in texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from featurestore.query.macros import MACRO_FILES, macro_source
from featurestore.query.statements import is_in_text
from featurestore.session import Session

_MACRO = re.compile(r"CREATE OR REPLACE TEMP MACRO (\w+)\(([^)]*)\)")
_WORD = re.compile(r"[A-Za-z_][\w]*$")
_TEXT = re.compile(r"[^']*$")
# Parts of the macros that are of no use by themselves.
_INNER = {
    *(
        "generator_of",
        "source_of",
        "chosen_source",
        "encoder_slug",
        "segment_of",
        "texts_of",
        "words_of",
    ),
    *("variant_rule", "variant_unit", "variant_numbers", "variant_seed", "variant_is_reference"),
    *("variant_tags", "variant_is_known", "variant_parts", "has_variant_tag"),
    *("drawn", "numbered", "variant_pieces", "variant_part", "kept_pieces"),
}
_KEYWORDS = (
    *("all", "and", "any", "as", "asc", "between", "by", "case", "cast", "cross", "describe"),
    *("desc", "distinct", "else", "end", "exclude", "exists", "explain", "false", "filter", "from"),
    *("full", "group", "having", "ilike", "in", "inner", "is", "join", "left", "like", "limit"),
    *("not", "null", "offset", "on", "or", "order", "outer", "over", "partition", "pivot"),
    *("qualify", "replace", "right", "sample", "select", "semi", "show", "summarize", "then"),
    *("true", "union", "unnest", "using", "values", "when", "where", "window", "with"),
)
_FUNCTIONS = (
    *("abs", "avg", "coalesce", "count", "list", "max", "median", "min", "quantile_cont"),
    *("round", "stddev", "string_agg", "sum"),
)


@dataclass(frozen=True)
class Vocabulary:
    """Names that a store's queries are made of.

    Parameters
    ----------
    tables : dict of str to tuple of str
        Columns of each table and view.
    macros : dict of str to str
        The parameters of each macro, as they are declared.
    names : tuple of str
        What stands in quotes: encoder and generator ids, properties, splits, text sources.
    """

    tables: dict[str, tuple[str, ...]]
    macros: dict[str, str]
    names: tuple[str, ...]

    def completions(self, before: str) -> Iterator[tuple[str, str, str]]:
        """What may come at the end of ``before``: (completion, what it is, what it replaces)."""
        if is_in_text(before):
            typed = _TEXT.search(before)
            kinds = dict.fromkeys(self.names, "name")
        else:
            typed = _WORD.search(before)
            kinds = dict.fromkeys(_KEYWORDS, "keyword") | dict.fromkeys(_FUNCTIONS, "function")
            for table, columns in self.tables.items():
                kinds |= dict.fromkeys(columns, f"column of {table}")
            kinds |= dict.fromkeys(self.macros, "macro") | dict.fromkeys(self.tables, "table")
        prefix = typed[0] if typed else ""
        if prefix or is_in_text(before):
            order = ("table", "macro", "column", "name", "function", "keyword")
            found = [
                (order.index(kind.split()[0]), word, kind)
                for word, kind in kinds.items()
                if word.lower().startswith(prefix.lower()) and word != prefix
            ]
            for _, word, kind in sorted(found):
                yield word, kind, prefix


def load_vocabulary(session: Session) -> Vocabulary:
    """The names in a store as the session sees it."""
    rows = session.query(
        "SELECT table_name, list(column_name ORDER BY column_index) AS columns "
        "FROM duckdb_columns() WHERE NOT internal "
        "AND NOT regexp_matches(table_name, '^(stored|empty)_') "
        "GROUP BY table_name ORDER BY table_name"
    ).to_pylist()
    names = session.query(
        "SELECT DISTINCT n FROM ("
        "SELECT unnest([encoder_id, name]) AS n FROM encoders "
        "UNION ALL SELECT unnest([generator_id, source]) FROM generators "
        "UNION ALL SELECT property FROM properties UNION ALL SELECT split FROM splits) ORDER BY n"
    )
    return Vocabulary(
        {row["table_name"]: tuple(row["columns"]) for row in rows},
        {name: parameters for name, parameters in _declared() if name not in _INNER},
        tuple(names["n"].to_pylist()),
    )


def macro_help(name: str) -> str | None:
    """The comment that documents a macro, from the file that defines it; None for another name."""
    for file in MACRO_FILES:
        source = macro_source(file)
        if any(found[1] == name for found in _MACRO.finditer(source)):
            comment = takewhile(lambda line: line.startswith("--"), source.splitlines())
            return "\n".join(line.removeprefix("--").removeprefix(" ") for line in comment)
    return None


def _declared() -> Iterator[tuple[str, str]]:
    for file in MACRO_FILES:
        for found in _MACRO.finditer(macro_source(file)):
            yield found[1], " ".join(found[2].split())
