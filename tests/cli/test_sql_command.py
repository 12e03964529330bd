"""``featurestore sql``: where a query comes from, parameters, Ctrl-C, and the shell."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import click
import pytest
import synthetic_store as toy
from click.testing import CliRunner, Result
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from featurestore.cli.root import root
from featurestore.cli.shell import Shell, _history, _NameCompleter
from featurestore.errors import InvalidInputError
from featurestore.query.running import _report, run_query
from featurestore.query.vocabulary import load_vocabulary, macro_help
from featurestore.session import QueryError
from featurestore.store import FeatureStore

ENDLESS = "SELECT count(*) FROM range(1000000000000) a WHERE hash(a.range) = 1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy.make_store(tmp_path_factory.mktemp("sql") / "store", 6)


def invoke(store: FeatureStore, *arguments: str, stdin: str | None = None) -> Result:
    command = ["sql", *arguments, "--store", store.uri]
    return CliRunner().invoke(root, command, input=stdin)


def test_a_query_from_a_file_and_from_standard_input(store, tmp_path):
    query = "SELECT count(*) AS n\nFROM materials; -- all\n"
    file = tmp_path / "query.sql"
    file.write_bytes(b"\xef\xbb\xbf" + query.encode())
    expected = invoke(store, query).output
    assert expected.splitlines()[-1] == "6"
    assert invoke(store, "--file", str(file)).output == expected
    assert invoke(store, "-", stdin=query).output == expected


def test_parameters(store):
    named = "SELECT material_id FROM materials WHERE material_id = $id AND n_atoms < $most"
    arguments = ("--param", "id=toy-002", "--param", "most=9", "--format", "csv")
    assert invoke(store, named, *arguments).output == "material_id\ntoy-002\n"
    assert "toy-001" in invoke(store, "FROM materials WHERE n_atoms = ?", "--param", "2").output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument 'QUERY': give one, --file FILE, or -"),
        (["SELECT 1", "--file", "x.sql"], 2, "either a QUERY or --file"),
        (["--file", "{tmp}/nothing.sql"], 1, "cannot read the query from {tmp}/nothing.sql"),
        (["--file", "{tmp}/binary"], 1, "cannot read the query from {tmp}/binary"),
        (["SELECT $a", "--param", "a=1", "--param", "2"], 1, "either all named"),
        (["SELECT $a"], 1, "parameter"),
        (["SELECT 1; SELECT 2"], 1, "one SQL statement, got 2"),
        (["COPY materials TO 'x'"], 1, "queries are read-only"),
    ],
)
def test_misuse(store, tmp_path, arguments, code, message):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    result = invoke(store, *(argument.format(tmp=tmp_path) for argument in arguments))
    error = str(result.exception) if code == 1 else result.output
    assert message.format(tmp=tmp_path) in error
    assert result.exit_code == code


def test_an_explanation_is_drawn(store):
    lines = invoke(store, "EXPLAIN SELECT count(*) FROM materials").output.splitlines()
    assert len(lines) > 3 and not any("⏎" in line for line in lines)


@pytest.mark.parametrize("delay", [0.02, 0.5])
def test_ctrl_c_stops_a_query_and_the_session_goes_on(store, delay):
    interrupting = threading.Timer(delay, signal.raise_signal, [signal.SIGINT])
    with store.session() as session:
        with pytest.raises(KeyboardInterrupt):
            interrupting.start()
            run_query(session, ENDLESS)
        assert run_query(session, "SELECT 1 AS a")["a"].to_pylist() == [1]


def test_ctrl_c_stops_coverage(store):
    command = ["coverage", "--where", f"({ENDLESS}) > 0", "--store", store.uri]
    threading.Timer(1, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(click.Abort):
        root.main(command, standalone_mode=False)


def test_ctrl_c_while_names_are_defined(store, monkeypatch):
    """There DuckDB turns it into a RuntimeError, which would end in a traceback."""
    for message, expected in (("Query interrupted", KeyboardInterrupt), ("other", RuntimeError)):

        def fail(*_: object, message: str = message) -> None:
            raise RuntimeError(message)

        monkeypatch.setattr("featurestore.session_tables.SessionTables._register_embeddings", fail)
        with store.session() as session, pytest.raises(expected):
            session.query("FROM structure_embedding_keys")


def test_errors_come_out_of_the_thread(store):
    with store.session() as session:
        with pytest.raises(QueryError, match="nothing does not exist"):
            run_query(session, "FROM nothing")
        with pytest.raises(InvalidInputError, match="read-only"):
            run_query(session, "DROP VIEW materials")


def test_a_long_query_is_reported_on_a_terminal(store, monkeypatch, capsys):
    clock = iter([0.0, 0.5, 2.0, 2.4, 63.0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("featurestore.query.running.time.monotonic", lambda: next(clock))
    with store.session() as session, _report(session) as look:
        for _ in range(4):
            look()
    shown = capsys.readouterr()
    assert [line.split(";")[0] for line in shown.err.split("\r")] == [
        "",
        "running for 2 s, 0 MB read",
        "running for 63 s, 0 MB read",
        "\x1b[K",
    ]


def shell(store: FeatureStore, typed: str, output_format: str = "csv") -> None:
    """A shell in which ``typed`` is typed."""
    with create_pipe_input() as pipe:
        pipe.send_text(typed)
        terminal = {"input": pipe, "output": DummyOutput(), "history": InMemoryHistory()}
        Shell(store, output_format).run(**terminal)


def test_the_shell_runs_statements_over_several_lines(store, capsys):
    shell(store, "SELECT count(*) AS n\nFROM materials;\nSELECT 1 AS a; SELECT 2 AS b;\n.quit\n")
    output = capsys.readouterr()
    assert output.out.splitlines()[1:] == ["n", "6", "a", "1", "b", "2"]
    assert output.err == ""


def test_no_error_ends_the_shell(store, capsys):
    wrong = "SELCT 1;\nFROM nothing;\nDROP VIEW materials;\n.tabels\n.schema nothing\n"
    shell(store, wrong + "SELECT 7 AS seven;\n\x04")
    output = capsys.readouterr()
    assert output.out.splitlines()[1:] == ["seven", "7"]
    for part in (
        "syntax error",
        "nothing does not exist",
        "read-only",
        "unknown command '.tabels'; did you mean '.tables'",
        "unknown table or macro 'nothing'",
    ):
        assert part in output.err


def test_ctrl_c_at_the_prompt_drops_the_line_and_ctrl_d_leaves(store, capsys):
    shell(store, "SELECT 1 AS gone\x03SELECT 2 AS kept;\n\x04")
    assert capsys.readouterr().out.splitlines()[1:] == ["kept", "2"]


def test_ctrl_c_in_a_query_leaves_the_shell_open(store, capsys):
    asked = Shell(store, "csv")
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    assert asked.execute(ENDLESS + ";")
    assert asked.execute("SELECT 3 AS c;")
    output = capsys.readouterr()
    assert (output.out, output.err) == ("c\n3\n", "cancelled\n")


def test_commands_of_the_shell(store, capsys):
    shell(store, ".help\n.tables\n.schema texts\n.schema materials\n.exit\n")
    output = capsys.readouterr().out
    for part in (
        ".schema NAME",
        "materials  ",
        "segment(vector, encoder, part)",
        "n_atoms,INTEGER",
    ):
        assert part in output
    assert "variant      'full', or ACTION:PART" in output


def test_many_rows_are_cut_and_counted(store, capsys):
    shell(store, "SELECT range AS i FROM range(1500);\n.quit\n")
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 2 + 200
    assert "the first 200 of 1,500 rows" in output.err


def test_the_shell_sees_what_is_written_meanwhile(tmp_path, capsys):
    store = toy.make_store(tmp_path / "store", 2)
    asked = Shell(store, "csv")
    store.merge_rows("materials", [toy._material(50)])
    asked.execute("SELECT count(*) AS n FROM materials;")
    assert capsys.readouterr().out == "n\n3\n"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("SELECT * FROM mater", {"materials", "material_id"}),
        ("SELECT n_at", {"n_atoms"}),
        ("FROM trai", {"training_view"}),
        ("SELECT cosine_", {"cosine_similarity", "cosine_distance"}),
        ("sel", {"select"}),
        ("FROM texts('robo", {"robocrystallographer", "robocrystallographer_0000000003"}),
        ("FROM structure_embeddings__toy", {"structure_embeddings__toy_graph"}),
        ("SELECT segment(vector, 'toy-g", {"toy-graph"}),
        (".sch", {".schema"}),
        (".schema mater", {"materials"}),
        (".tab", {".tables"}),
    ],
)
def test_completion(store, before, expected):
    with store.session() as session:
        vocabulary = load_vocabulary(session)
    completer = _NameCompleter(lambda: vocabulary)
    found = {c.text for c in completer.get_completions(Document(before), CompleteEvent())}
    assert expected <= found
    assert all(word.lower().startswith(before.split()[-1].split("'")[-1].lower()) for word in found)


def test_every_macro_is_documented(store):
    with store.session() as session:
        macros = load_vocabulary(session).macros
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text("utf-8")
    for name in macros:
        assert macro_help(name), name
        assert f"{name}(" in page, f"docs/sql.md does not describe {name}"


def test_the_history_is_the_owners(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    history = _history()
    history.store_string("SELECT 1;")
    [file] = (tmp_path / "featurestore").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert list(_history().load_history_strings()) == ["SELECT 1;"]
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert list(_history().load_history_strings()) == []
