"""Quiet, verbose and logged commands; errors for programs; completion of stored names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest
import synthetic_store as toy
from click.shell_completion import ShellComplete

from featurestore.cli import main
from featurestore.cli.reporting import wants_json
from featurestore.cli.root import root
from featurestore.rooms import ROOMS
from featurestore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    made = toy.make_store(tmp_path_factory.mktemp("loud") / "store", 10)
    made.create_snapshot("submitted", "as sent to the journal")
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["featurestore", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return call


def test_quiet_leaves_out_notes_and_a_log_file_has_them(run, store, tmp_path: Path):
    show = ["snapshot", "show", "submitted", "--store", store.uri]
    assert "as sent to the journal" in run(*show)[2]
    log = tmp_path / "logs" / "f.log"
    code, out, err = run("--quiet", "--log-file", str(log), *show)
    assert (code, err) == (0, "") and out
    assert "as sent to the journal" in log.read_text("utf-8")
    run("--log-file", str(log), "info", "--store", str(tmp_path / "nowhere"))
    *_, last = log.read_text("utf-8").splitlines()
    assert "Error: there is no store" in last and last[:4].isdigit()
    assert "Traceback" in log.read_text("utf-8")


def test_every_note_can_be_left_out():
    """What goes to standard error by click itself is an error, a warning or a failure."""
    told = {"featurestore/cli/__init__.py", "featurestore/cli/reporting.py"}
    told |= {"featurestore/cli/shell.py", "train/cli/benchmark.py", "train/cli/failures.py"}
    top = Path(__file__).parents[2]
    found = {
        str(path.relative_to(top))
        for room in ROOMS
        for path in (top / room).rglob("*.py")
        if "err=True" in path.read_text("utf-8")
    }
    assert found <= told, "say it by featurestore.output.notes.note"


def test_quiet_keeps_errors(run, tmp_path: Path):
    code, _, err = run("-q", "info", "--store", str(tmp_path / "nowhere"))
    assert code == 1 and err.startswith("Error: there is no store")


def test_verbose_shows_where_an_error_came_from(run, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("FEATURESTORE_WORKERS", "2")
    code, _, err = run("--verbose", "info", "--store", str(tmp_path / "nowhere"))
    assert code == 1 and "workers = 2 (environment FEATURESTORE_WORKERS)" in err
    assert "Traceback" in err and err.splitlines()[-1].startswith("Error: there is no store")


def test_quiet_and_verbose_contradict_each_other(run):
    code, _, err = run("-q", "-v", "config", "show")
    assert code == 2 and "contradict" in err


def test_a_log_file_that_cannot_be_written_is_named(run, tmp_path: Path):
    (tmp_path / "file").write_text("")
    code, _, err = run("--log-file", str(tmp_path / "file" / "x.log"), "config", "show")
    assert code == 1 and f"cannot write the log file {tmp_path / 'file' / 'x.log'}" in err


def test_errors_are_objects_where_json_is_asked_for(run, store, tmp_path: Path):
    code, out, err = run("info", "--format", "json", "--store", str(tmp_path / "nowhere"))
    said = json.loads(err)
    assert (code, out, said["error"], said["exit_code"]) == (1, "", "StoreNotFoundError", 1)
    assert said["message"].startswith("there is no store") and said["commands"] == []
    code, _, err = run("sql", "--format=ndjson", "--fromat", "x")
    said = json.loads(err)
    assert (code, said["exit_code"], said["error"]) == (2, 2, "NoSuchOption")
    assert not wants_json(["export", "x", "--format", "npy"])


def test_info_as_json_has_the_numbers_of_the_lines(run, store):
    _, out, _ = run("info", "--format", "json", "--store", store.uri)
    found = json.loads(out)
    assert found["store"] == store.uri
    [materials] = found["materials"]
    assert (materials["dataset"], materials["materials"]) == ("toy", 10)
    [split] = [row for row in found["splits"] if row["split"] == toy.SPLIT]
    assert (split["train"], split["val"], split["test"], split["kind"]) == (6, 2, 2, "split")
    assert {row["kind"] for row in found["encoders"]} == {"structure", "text"}


def test_no_color_takes_the_colours_away(monkeypatch):
    from featurestore.output.terminal import _Guarded

    class Terminal:
        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

    styled = click.style("x", bold=True)
    for value, expected in (("", styled), ("1", "x")):
        monkeypatch.setenv("NO_COLOR", value)
        terminal = Terminal()
        _Guarded(terminal, hiding=False).write(styled)  # type: ignore[arg-type]
        assert terminal.text == expected


def completions(*words: str, incomplete: str = "") -> set[str]:
    completer = ShellComplete(root, {}, "featurestore", "_FEATURESTORE_COMPLETE")
    return {item.value for item in completer.get_completions(list(words), incomplete)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["view"], {toy.PROPERTY}),
        (["train", "fit", "gbt", "--property"], {toy.PROPERTY}),
        (["view", toy.PROPERTY, "--split"], {toy.SPLIT}),
        (["info", "--at"], {"submitted"}),
        (["snapshot", "show"], {"submitted"}),
        (["view", "x", "--structure-encoder"], {toy.STRUCTURE_ENCODER, "toy-graph"}),
        (["view", "x", "--text-encoder"], {toy.TEXT_ENCODER, "toy-text"}),
        (["encoders", "retire"], {toy.TEXT_ENCODER, toy.STRUCTURE_ENCODER}),
    ],
)
def test_stored_names_are_completed(store, monkeypatch, words, expected):
    monkeypatch.setenv("FEATURESTORE_URI", store.uri)
    assert expected <= completions(*words)
    first = min(expected)
    assert first in completions(*words, incomplete=first[:3])
    assert not completions(*words, incomplete="zzz")


def test_without_a_store_nothing_is_completed(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATURESTORE_URI", str(tmp_path / "nowhere"))
    assert completions("view") == set()


def test_commands_are_completed_without_importing_any():
    assert "ingest" in completions(incomplete="ing")
