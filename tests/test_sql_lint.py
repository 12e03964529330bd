"""No value of a store or a user goes into SQL but through `featurestore.quoting`."""

from __future__ import annotations

from pathlib import Path

import pytest
from sql_lint import offences, sources

ROOT = Path(__file__).parents[1]
ROOMS = ("featurestore", "ingest", "train", "explain")
# Where SQL from outside comes in, to be checked and run within limits; and the helpers themselves.
DOORS = {
    ("featurestore/session_tables.py", "sql"),
    ("featurestore/query/macros.py", "file.read_text('utf-8')"),
    ("featurestore/query/macros.py", "source"),
    ("featurestore/store.py", "query"),
    ("featurestore/query/running.py", "sql"),
    ("explain/explore/sql.py", "query"),
    ("featurestore/query/conditions.py", "text"),
    ("featurestore/quoting.py", """_storable(text).replace("'", "''")"""),
    ("featurestore/quoting.py", """_storable(name).replace('"', '""')"""),
    ("featurestore/quoting.py", "name"),
    ("featurestore/quoting.py", "str(int(value))"),
    ("featurestore/quoting.py", "repr(float(value))"),
}
DECLARED = """
from featurestore.quoting import SQL, identifier, quoted
def quoted(text: str) -> SQL: ...
def identifier(name: str) -> SQL: ...
class Thing:
    having: SQL
    name: str
"""


def found_in(text: str) -> list[str]:
    return [found.what for found in offences([("made_up.py", DECLARED + text)])]


def test_no_value_goes_into_sql_unquoted_but_at_the_doors():
    every = list(offences(sources(ROOT, ROOMS)))
    found = [one for one in every if (one.path, one.what) not in DOORS]
    assert not found, "\n" + "\n".join(map(str, found))
    assert {(one.path, one.what) for one in every} >= DOORS


@pytest.mark.parametrize(
    "text",
    [
        """def f(s, name): s.query(f"SELECT * FROM {name}")""",
        """def f(s, name): s.query(f'FROM t WHERE a = \\'{name}\\'')""",
        """def f(s, name): s.query("SELECT * FROM " + name)""",
        """def f(s, name): s.query("SELECT * FROM %s" % name)""",
        """def f(s, name): s.query("SELECT * FROM {}".format(name))""",
        """def f(s, name): s.query(name)""",
        """def f(s, names): s.query("SELECT " + ", ".join(names))""",
        """def f(s, names): s.query("SELECT " + ", ".join(f'"{n}"' for n in names))""",
        """def f(s, name):\n  q = f"SELECT * FROM {name}"\n  s.query(q)""",
        """def f(s, name):\n  q = "a"\n  q += name\n  s.query(q)""",
        """def f(s, name):\n  q = quoted(name)\n  q = name\n  s.query(q)""",
        """def f(s, thing): s.query(f"SELECT {thing.name} FROM t")""",
        """def f(name): return SQL(name)""",
        """def f(data, name): data.to_table(filter=f"a = '{name}'")""",
        """def f(store, name): store.remove("t", f"a = '{name}'")""",
        """def f(s, rows):\n  for row in rows:\n    s.query("SELECT " + row)""",
        """def f(s, name): s.query(f"SELECT {quoted(name)!r}")""",
        """def f(s, n): s.query(f"SELECT {n:>3}")""",
        """def f(s, name): s.query(("SELECT 1", name)[1])""",
        """def f(s, name, ok): s.query("SELECT 1" if ok else name)""",
        """def f(s, name): s.query(str(name))""",
        """def f(connection, name): connection.execute(f"DROP VIEW {name}")""",
        """def f(s): s.query(g := input())""",
        """def f(s, kind):\n  key = f"{kind}_id"\n  s.query(f"SELECT {key} FROM t")""",
    ],
)
def test_what_is_refused(text):
    assert found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        """def f(s, name): s.query("SELECT * FROM t WHERE a = ?", [name])""",
        """def f(s, name): s.query(f"SELECT * FROM {identifier(name)}")""",
        """def f(s, name): s.query("FROM t WHERE a = " + quoted(name))""",
        """def f(s, names): s.query("SELECT " + ", ".join(map(identifier, names)))""",
        """def f(s, names): s.query("SELECT " + ", ".join(identifier(n) for n in names))""",
        """def f(s, thing): s.query(f"SELECT {thing.having} FROM t")""",
        """def f(s, where: SQL): s.query(f"SELECT 1 WHERE {where}")""",
        """def f(s, ok):\n  key = "a" if ok else "b"\n  s.query(f"SELECT {key} FROM t")""",
        """def f(s):\n  for a, b in (("x", "y"), ("z", "w")):\n    s.query(f"SELECT {a}, {b}")""",
        """def f(s, n): s.query(f"SELECT {len(n)}")""",
        """X = ("a", "b")\ndef f(s): s.query(f"SELECT {', '.join(X)}")""",
        """def f(name): return f"cannot read {name} from {name}, and so on" """,
    ],
)
def test_what_is_allowed(text):
    assert found_in(text) == []
