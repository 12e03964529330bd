"""Random SQL by a grammar: every statement reads within its limits, or is refused by a message.

Statements are drawn from a grammar of DuckDB's: queries over the tables and macros of a store, with
every kind of value, nested calls, CTEs and EXPLAINs, among them statements that would write, reach
files, or end a process. What counts as a violation:

- an exception that is no `FeatureStoreError`, or a result that cannot be printed;
- a statement of a kind that writes and is not refused; a table, view or setting that has changed;
- more than some seconds beyond its time, or more memory than its limit allows.

    python -m benchmarks.fuzz_sql STORE --count 5000
    python -m benchmarks.fuzz_sql STORE --first 123 --count 1 --show
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import click

from featurestore.errors import FeatureStoreError
from featurestore.output.rows import print_table
from featurestore.query.limits import SqlLimits
from featurestore.store import FeatureStore

SECONDS = 2.0
MEMORY = 2**28
_BEYOND = 8.0
_VALUES = (
    *(
        "NULL",
        "0",
        "-1",
        "1.5",
        "1e308",
        "'a'",
        "''",
        "true",
        "170141183460469231731687303715884105727",
    ),
    *("'NaN'::DOUBLE", "'infinity'::DATE", "'-infinity'::TIMESTAMPTZ", "INTERVAL '300000 years'"),
    *(
        "'0101'::BIT",
        "uuid()",
        "'12:00:00+15:59'::TIMETZ",
        "[1, NULL]",
        "{'a': [1]}",
        "MAP([1], [2])",
    ),
    *(
        "'{\"a\": [1]}'::JSON",
        "'\\xFF'::BLOB",
        "chr(27)",
        "chr(8238)",
        "repeat('x', 100000)",
        "DATE '0001-01-01'",
    ),
    *(
        "340282366920938463463374607431768211455::UHUGEINT",
        "999999999999999999999999999999::BIGNUM",
    ),
    *(
        "UNION_VALUE(a := 1)",
        "1::VARIANT",
        "TIME '24:00:00'",
        "'290000-01-01'::TIMESTAMP",
        "lambda x: x",
    ),
)
_COLUMNS = (
    *(
        "material_id",
        "structure_id",
        "n_atoms",
        "volume",
        "lattice",
        "species",
        "property",
        "value",
    ),
    *(
        "fold",
        "vector",
        "arguments",
        "counts",
        "host",
        "started_at",
        "versions",
        "segments",
        "weights",
    ),
    *("metrics", "text_id", "sentence", "position", "kind", "nothing", '"a""b"', "*", "COLUMNS(*)"),
)
_TABLES = (
    *("materials", "properties", "splits", "sentences", "encoders", "runs", "models", "snapshots"),
    *("structure_embedding_keys", "full_texts", "coverage()", "range(10)", "range(1000000000)"),
    *("generate_series(1, 5)", "duckdb_tables()", "duckdb_settings()", "unnest([1, 2])", "nothing"),
    *(
        "read_csv('/etc/passwd')",
        "read_text('/etc/*')",
        "glob('*')",
        "'/etc/passwd'",
        "query('FROM runs')",
    ),
    *(
        "duckdb_secrets()",
        "pragma_version()",
        "enable_logging()",
        "json_each('[1]')",
        "texts('toytext')",
    ),
)
_FUNCTIONS = (
    *(
        "count",
        "sum",
        "list",
        "min",
        "length",
        "lower",
        "json",
        "json_extract",
        "hash",
        "md5",
        "repeat",
    ),
    *(
        "list_transform",
        "regexp_matches",
        "array_to_string",
        "struct_extract",
        "error",
        "getenv",
        "norm",
    ),
    *(
        "dot",
        "cosine_similarity",
        "range",
        "unnest",
        "json_structure",
        "json_serialize_sql",
        "date_trunc",
    ),
    *(
        "try_strptime",
        "printf",
        "levenshtein",
        "string_agg",
        "approx_quantile",
        "histogram",
        "typeof",
    ),
    *(
        "current_setting",
        "query_table",
        "segment",
        "getvariable",
        "version",
        "pg_typeof",
        "nextval",
    ),
)
_OPERATORS = (
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "=",
    "<",
    "IN",
    "LIKE",
    "IS NOT DISTINCT FROM",
    "->",
    "AND",
    "^",
    "::",
)
_TYPES = (
    "INTEGER",
    "VARCHAR",
    "JSON",
    "DOUBLE",
    "DATE",
    "TIMESTAMP",
    "BLOB",
    "BIT",
    "INTEGER[]",
    "UHUGEINT",
    "VARIANT",
)
_OTHERS = (
    *(
        "COPY (SELECT 1) TO '/tmp/never'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TEMP VIEW v AS SELECT 1",
    ),
    *(
        "DROP VIEW materials",
        "DELETE FROM materials",
        "INSERT INTO runs VALUES (1)",
        "UPDATE runs SET pid = 1",
    ),
    *(
        "ATTACH '/tmp/never'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA enable_profiling",
    ),
    *(
        "CALL enable_logging()",
        "EXPORT DATABASE '/tmp/never'",
        "IMPORT DATABASE '/tmp'",
        "CHECKPOINT",
    ),
    *(
        "PREPARE a AS SELECT 1",
        "EXECUTE a",
        "BEGIN",
        "ALTER TABLE runs RENAME TO r",
        "VACUUM",
        "USE memory",
    ),
    *(
        "CREATE MACRO f() AS 1",
        "COMMENT ON TABLE runs IS 'a'",
        "RESET threads",
        "UPDATE EXTENSIONS",
        "DETACH x",
    ),
    *(
        "CREATE SECRET (TYPE s3)",
        "CREATE TYPE a AS ENUM ('x')",
        "CREATE SEQUENCE s",
        "SET VARIABLE a = 1",
    ),
)


_SOUND = {
    "materials": ("material_id", "n_atoms", "volume", "lattice", "species"),
    "properties": ("property", "value", "source"),
    "runs": ("arguments", "started_at", "host", "pid", "counts"),
    "models": ("metrics", "history", "weights", "seed"),
    "snapshots": ("versions", "created_at"),
    "encoders": ("segments", "fingerprint", "dimension"),
    "texts('toytext')": ("text_id", "text"),
    "range(3)": ("range",),
}
_WRAPPED = (
    *("[{a}]", "[{a}, NULL]", "{'k': {a}, 'l': {b}}", "MAP([{a}], [{b}])", "typeof({a})"),
    *("CAST({a} AS VARCHAR)", "to_json({a})", "hash({a})", "TRY_CAST({a} AS DOUBLE)"),
    *("coalesce({a}, NULL)", "length(CAST({a} AS VARCHAR))", "TRY_CAST({a} AS JSON)"),
    *("TRY_CAST({a} AS DATE)", "md5(CAST({a} AS VARCHAR))", "row({a}, {b})", "{a} IS NULL"),
    *(
        "list_value({a}, {a})",
        "CAST({a} AS VARIANT)",
        "TRY_CAST({a} AS HUGEINT)",
        "first({a}) OVER ()",
    ),
    *("(SELECT {a})", "CASE WHEN {a} IS NULL THEN 1 ELSE 2 END", "CAST({a} AS VARCHAR) || '\x1b'"),
)


class Grammar:
    """Draws statements; the deeper, the more often it ends.

    Parameters
    ----------
    number : int
        Which statement.
    """

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)

    def statement(self) -> str:
        """One statement, or what only looks like one."""
        draw = self._random.random()
        if draw < 0.12:
            return self._prefix() + self._one(_OTHERS)
        if draw < 0.15:
            return f"WITH x AS ({self._one(_OTHERS)} RETURNING 1) FROM x"
        if draw < 0.2:
            return "; ".join(self.select(2) for _ in range(2))
        if draw < 0.24:
            return self._one(("DESCRIBE ", "SUMMARIZE ", "SHOW ", "PIVOT ")) + self._one(_TABLES)
        if draw < 0.28:
            return self._broken(self.select(2))
        return self._prefix() + self.select(0)

    def _sound(self, depth: int) -> str:
        """A query that most likely has an answer: what is drawn is how values are put together."""
        table = self._one(tuple(_SOUND))
        items = ", ".join(f"{self._made(table, depth)} AS c{n}" for n in range(3))
        parts = [f"SELECT {items} FROM {table}"]
        if self._random.random() < 0.3:
            parts.append(f"WHERE {self._made(table, 2)} IS NOT NULL")
        if self._random.random() < 0.3:
            parts.append("ORDER BY c0")
        return " ".join(parts) + " LIMIT 20"

    def _made(self, table: str, depth: int) -> str:
        draw = self._random.random() + depth * 0.1
        if draw < 0.5:
            inner = self._made(table, depth + 1)
            other = self._made(table, depth + 1)
            return self._one(_WRAPPED).replace("{a}", inner).replace("{b}", other)
        return self._one(_SOUND[table]) if self._random.random() < 0.5 else self._one(_VALUES[:-1])

    def select(self, depth: int) -> str:
        """A query."""
        if depth == 0 and self._random.random() < 0.6:
            return self._sound(0)
        columns = ", ".join(self.expression(depth + 1) for _ in range(self._random.randint(1, 3)))
        parts = [f"SELECT {columns} FROM {self._source(depth)}"]
        for word in ("WHERE", "GROUP BY", "HAVING", "QUALIFY", "ORDER BY"):
            if self._random.random() < 0.15:
                parts.append(f"{word} {self.expression(depth + 2)}")
        parts.append(f"LIMIT {self._random.choice((0, 5, 1000))}")
        whole = " ".join(parts)
        if depth < 3 and self._random.random() < 0.15:
            joined = self._one(("UNION ALL", "EXCEPT", "UNION BY NAME"))
            return f"({whole}) {joined} ({self.select(depth + 2)})"
        if depth < 3 and self._random.random() < 0.1:
            recursive = self._one(("", "RECURSIVE "))
            return (
                f"WITH {recursive}c AS ({whole}) SELECT * FROM c, {self._source(depth + 2)} LIMIT 9"
            )
        return whole

    def expression(self, depth: int) -> str:
        """A value."""
        draw = self._random.random() + depth * 0.08
        if draw < 0.2:
            left, right = self.expression(depth + 1), self.expression(depth + 1)
            return f"({left} {self._one(_OPERATORS)} {right})"
        if draw < 0.45:
            given = ", ".join(self.expression(depth + 1) for _ in range(self._random.randint(0, 3)))
            return f"{self._one(_FUNCTIONS)}({given})"
        if draw < 0.5:
            return f"CAST({self.expression(depth + 1)} AS {self._one(_TYPES)})"
        if draw < 0.53:
            return f"({self.select(depth + 2)})"
        if draw < 0.56:
            whens = f"WHEN {self.expression(depth + 1)} THEN {self.expression(depth + 1)}"
            return f"CASE {whens} ELSE {self.expression(depth + 1)} END"
        if draw < 0.58:
            count = self._random.choice((10, 300, 2000))
            return "(" * count + "1" + ")" * count
        return self._one(_VALUES if self._random.random() < 0.5 else _COLUMNS)

    def _source(self, depth: int) -> str:
        if depth < 3 and self._random.random() < 0.2:
            return f"({self.select(depth + 1)})"
        if self._random.random() < 0.2:
            left, right = self._one(_TABLES), self._one(_TABLES)
            return f"{left} a JOIN {right} b ON {self.expression(depth + 3)}"
        return self._one(_TABLES)

    def _prefix(self) -> str:
        return self._one(
            ("", "", "", "", "EXPLAIN ", "EXPLAIN ANALYZE ", "/* a */ EXPLAIN (FORMAT json) ")
        )

    def _broken(self, text: str) -> str:
        place = self._random.randrange(len(text))
        return text[:place] + self._one(("'", '"', "$$", "/*", ";", "\0", ")", "--")) + text[place:]

    def _one(self, among: tuple[str, ...]) -> str:
        return self._random.choice(among)


@click.command()
@click.option("--count", default=2000, show_default=True, help="Statements to try.")
@click.option("--first", default=0, show_default=True, help="Number of the first.")
@click.option("--seconds", default=1e9, help="Stop after so long.")
@click.option("--show", is_flag=True, help="Print each.")
@click.argument("store", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(count: int, first: int, seconds: float, show: bool, store: Path) -> None:
    """Run random statements on STORE, which stays as it is."""
    warnings.simplefilter("ignore")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + 8 * MEMORY, used + 8 * MEMORY))
    counts: Counter[str] = Counter()
    started = time.monotonic()
    opened = FeatureStore.open(store)
    with opened.session(SqlLimits(SECONDS, MEMORY, 100_000)) as session:
        before = _state(session)
        for number in range(first, first + count):
            if time.monotonic() - started > seconds:
                break
            text = Grammar(number).statement()
            if show:
                print(number, text)
            began = time.monotonic()
            try:
                rows = session.read_only_query(text)
                with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
                    for form in ("table", "csv", "json"):
                        print_table(rows.slice(0, 20), form, stream)
                counts["answered"] += 1
            except FeatureStoreError as error:
                str(error).encode()
                counts["refused"] += 1
                if "DuckDB failed in itself" in str(error):
                    print(f"{number}: {error}: {text[:300]}", flush=True)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                counts["violations"] += 1
                print(
                    f"VIOLATION {number}: {type(error).__name__} {str(error)[:200]!r}: {text[:300]}"
                )
            if (took := time.monotonic() - began) > SECONDS + _BEYOND:
                counts["violations"] += 1
                print(f"VIOLATION {number}: {took:.0f} s: {text[:300]}", flush=True)
        if _state(session) != before:
            counts["violations"] += 1
            print("VIOLATION: tables, views or settings have changed")
    if Path("/tmp/never").exists():
        counts["violations"] += 1
        print("VIOLATION: a file was written")
    print(f"{counts['answered'] + counts['refused']} statements: {dict(counts)}")
    sys.exit(1 if counts["violations"] else 0)


def _state(session: object) -> list[object]:
    query = session.query  # type: ignore[attr-defined]
    # A session that went on after a fault of DuckDB's own has its tables under new numbers, and
    # another temporary folder.
    return [
        query(
            "SELECT view_name, regexp_replace(sql, '__duckdb_source_\\w+', '') "
            "FROM duckdb_views() ORDER BY ALL"
        ).to_pylist(),
        query("SELECT table_name FROM duckdb_tables() ORDER BY ALL").to_pylist(),
        query(
            "SELECT name, regexp_replace(value, '/featurestore-\\w+', '') "
            "FROM duckdb_settings() ORDER BY ALL"
        ).to_pylist(),
    ]


if __name__ == "__main__":
    main()
