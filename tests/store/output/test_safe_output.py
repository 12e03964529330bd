"""What is printed, named and exported is safe, whatever the store holds."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from unicodedata import category

import pyarrow as pa
import pytest
import synthetic_store as toy
from hypothesis import given
from hypothesis import strategies as st

from featurestore.output.markdown import code, fenced, plain
from featurestore.output.names import file_name
from featurestore.output.rows import print_table
from featurestore.output.spreadsheet import harmless, harmless_table
from featurestore.output.terminal import _Guarded, escaped, one_line

CONTROLS = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0)) if chr(n) not in "\n\t"]
TURNING = ["\u202e", "\u2066", "\u200f", "\u2028", "\ufeff", "\u061c", "\u200b", "\U000e0041"]


@pytest.mark.parametrize("character", [*CONTROLS, *TURNING, "\ud800"])
def test_no_control_character_is_shown(character):
    for shown in (escaped(f"a{character}b"), one_line(f"a{character}b")):
        assert character not in shown and shown.startswith("a\\") and shown.endswith("b")


@given(st.text())
def test_what_is_escaped_is_printable(text):
    assert all(category(c) not in ("Cc", "Cs") or c in "\n\t" for c in escaped(text))


def test_field_terms_are_not_touched():
    text = "Å³, Fm-3̅m, α-quartz, 10⁻⁸, 二酸化ケイ素, e\u0301"
    assert escaped(text) == text == one_line(text)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_our_own_colours_stay_and_nothing_else():
    stream = _Terminal()
    guarded = _Guarded(stream, hiding=False)
    guarded.write("\x1b[31mWRONG\x1b[0m \x1b[8mhidden\x1b]0;title\x07 \x1b[2J\r\n")
    assert (
        stream.getvalue() == "\x1b[31mWRONG\x1b[0m \\x1b[8mhidden\\x1b]0;title\\x07 \\x1b[2J\\x0d\n"
    )


def test_a_pipe_gets_what_there_is_but_no_secret(monkeypatch):
    monkeypatch.setenv("SOME_API_TOKEN", "abcdefgh12345")
    stream = io.StringIO()
    _Guarded(stream, hiding=True).write("\x1b[2J abcdefgh12345")
    assert stream.getvalue() == "\x1b[2J [hidden]"


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
def test_rows_on_a_terminal(tmp_path, form):
    """Through a pseudo-terminal, from the real program."""
    store = toy.make_store(tmp_path / "store", 2)
    main, other = pty.openpty()
    command = [sys.executable, "-c", "from featurestore.cli import main; main()", "sql"]
    command += ["SELECT chr(27) || ']0;x' || chr(7) || chr(155) || chr(8238) AS \"a\x1b[2Jb\""]
    command += ["--format", form, "--store", store.uri]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(command, stdout=other, stderr=other, stdin=other, env=environment) as run:
        os.close(other)
        shown = b""
        while True:
            try:
                block = os.read(main, 65536)
            except OSError:
                break
            if not block:
                break
            shown += block
        assert run.wait() == 0, shown
    os.close(main)
    text = shown.decode().replace("\r\n", "\n")
    assert "x1b" in text or "u001b" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), repr(text)


def test_a_table_is_escaped_wherever_it_goes():
    stream = io.StringIO()
    print_table(pa.table({"a\x1bb": ["x\x1b[31m\n\u202e"]}), "table", stream)
    assert stream.getvalue().splitlines()[0] == "a\\x1bb"
    assert stream.getvalue().splitlines()[2] == "x\\x1b[31m⏎\\u202e"


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1"),
        *('"=1', "'=1", "＝1", "－1+1", "\ufeff=1", "=HYPERLINK(1)", "-", "+"),
    ],
)
def test_formulas_are_made_harmless(text):
    assert harmless(text) == "'" + text
    rows = harmless_table(pa.table({text: [text, None]}))
    stream = io.StringIO()
    print_table(rows, "csv", stream)
    assert list(csv.reader(io.StringIO(stream.getvalue(), newline="")))[:2] == [["'" + text]] * 2


@pytest.mark.parametrize("text", ["NaCl", "-3.5", "+1e-7", "JVASP-1", "a=b", "", "mp-149"])
def test_other_texts_stay(text):
    assert harmless(text) == text


@pytest.mark.parametrize(
    "parts",
    [
        ("../../x",),
        ("/etc/passwd",),
        ("a/b", "c\\d"),
        ("..",),
        (".",),
        ("",),
        (".hidden",),
        ("-rf",),
        ("con",),
        ("NUL.txt",),
        ("a\0b",),
        ("x" * 5000,),
        ("\ud800",),
        ("a:b|c*?<>",),
        ("\u202egnp.exe",),
        ("a\nb",),
    ],
)
def test_a_file_name_is_one_name(tmp_path, parts):
    name = file_name(*parts, suffix=".png")
    assert re.fullmatch(r"[A-Za-z0-9_+=][A-Za-z0-9._+=-]{0,130}\.png", name)
    (tmp_path / name).write_bytes(b"")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert not re.fullmatch(r"(?i)(con|nul)(\..*)?", name)


def test_file_names_tell_ids_apart_and_keep_plain_ones():
    assert (
        file_name("parity", "mbj_bandgap", "paper", suffix=".png") == "parity_mbj_bandgap_paper.png"
    )
    assert len({file_name("a/b"), file_name("a_b"), file_name("a\\b"), file_name("a:b")}) == 4


@given(st.lists(st.text(), max_size=3))
def test_any_file_name(parts):
    name = file_name(*parts)
    assert name == Path(name).name and 0 < len(name.encode()) < 200 and name not in (".", "..")


def test_markdown_is_shown_as_it_is():
    hostile = "a`b|c\n# d [e](javascript:f) <img src=x> ![g](http://h) ```"
    for shown in (plain(hostile), code(hostile)):
        assert "\n" not in shown
    assert "<img" not in plain(hostile) and "](" not in plain(hostile).replace("\\]", "")
    assert "|" not in code(hostile)
    assert fenced("json", hostile).splitlines()[0] == "````json"
    assert plain("formation_energy_peratom in eV/atom") == "formation_energy_peratom in eV/atom"
