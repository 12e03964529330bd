"""Whatever a value or a name holds, SQL finds exactly it: in DuckDB and in Lance's filters."""

from __future__ import annotations

import subprocess
import sys

import lance
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.connection import connect
from featurestore.errors import InvalidInputError
from featurestore.quoting import column, identifier, literal, quoted

HOSTILE = (
    "it's",
    "x'; DROP VIEW materials; --",
    "' OR ''='",
    '"; SELECT 1; --',
    "a\0b",
    "new\nline",
    "\\'",
    "\u202e",
    "😀",
    "/* */",
    "$$",
    "",
    "E'\\n'",
)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_text_is_itself(value):
    assert connect().sql(f"SELECT {quoted(value)}").fetchall() == [(value,)]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_itself(value):
    assert connect().sql(f"SELECT {quoted(value)} AS a").fetchall() == [(value,)]


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_name_is_one_column(name):
    assert connect().sql(f"SELECT 7 AS {identifier(name)}").columns == [name]


def test_a_text_is_itself_for_lance(tmp_path):
    lance.write_dataset(pa.table({"k": list(HOSTILE)}), tmp_path / "t")
    dataset = lance.dataset(tmp_path / "t")
    for value in HOSTILE:
        found = dataset.to_table(filter=f"{column('k')} = {quoted(value)}")
        assert found["k"].to_pylist() == [value]


@pytest.mark.parametrize("value", [None, True, False, 0, -7, 2**70, 1.5, -1e-300, "a'b"])
def test_a_literal_is_its_value(value):
    assert connect().sql(f"SELECT {literal(value)}").fetchall() == [(value,)]


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (quoted, "\ud800"),
        (identifier, ""),
        (identifier, "\udfff"),
        (literal, float("nan")),
        (literal, float("inf")),
        (literal, [1]),
        (literal, b"a"),
        (column, 'a"'),
        (column, "a b"),
        (column, ""),
    ],
)
def test_what_is_no_value_or_name(make, value):
    with pytest.raises(InvalidInputError):
        make(value)


def test_a_connection_reaches_nothing(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    secret = pa.table({"a": [1]})  # noqa: F841
    for sql in (f"FROM read_csv('{tmp_path}/a.csv')", "FROM secret", "SELECT getenv('HOME')"):
        with pytest.raises(Exception, match=r"(?i)disabled|does not exist|permission"):
            connect().sql(sql).fetchall()


# As a Jupyter kernel looks to DuckDB; ipywidgets are not installed.
_KERNEL = (
    "import sys, types\n"
    "sys.modules['ipywidgets'] = None\n"
    "sys.modules['IPython'] = kernel = types.ModuleType('IPython')\n"
    "kernel.get_ipython = lambda: types.SimpleNamespace(config={'IPKernelApp': {}})\n"
)


@pytest.mark.parametrize("before", ["", _KERNEL], ids=["plain", "jupyter"])
def test_no_progress_is_shown_among_results(before):
    """Where Python runs no file, as for ``-c``, DuckDB would write a bar to standard output.

    In a kernel without ipywidgets it has none, and raises where one is switched off.
    """
    code = before + (
        "from featurestore.connection import connect\n"
        "sql = \"SELECT value FROM duckdb_settings() WHERE name = 'enable_progress_bar'\"\n"
        "print(connect().sql(sql).fetchall())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[('false',)]\n"
