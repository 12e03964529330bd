"""The configuration file: where it is found, what it may say, and what wins over what."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from featurestore.cli.root import root
from featurestore.configuration.keys import KEYS
from featurestore.configuration.reading import NAME, read_configuration
from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(root, arguments, catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder two below the one whose file is found."""
    for key in KEYS.values():
        monkeypatch.delenv(key.variable, raising=False)
    monkeypatch.delenv("FEATURESTORE_CONFIG", raising=False)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return tmp_path


def test_the_nearest_file_above_is_found_and_paths_start_from_it(folder: Path):
    assert read_configuration().path is None
    (folder / NAME).write_text('store = "lab"\nproperty-registry = "p.toml"\n')
    found = read_configuration()
    assert found.get("store") == str(folder / "lab")
    assert found.get("property-registry") == [str(folder / "p.toml")]
    (folder / "a" / NAME).write_text('store = "s3://bucket/prefix"\n')
    assert read_configuration().get("store") == "s3://bucket/prefix"
    assert read_configuration().get("workers") is None


def test_environment_wins_over_the_file_and_options_over_both(folder: Path, monkeypatch):
    (folder / NAME).write_text('store = "of-file"\n')
    assert "of-file" in str(invoke_error("info"))
    monkeypatch.setenv("FEATURESTORE_URI", "of-environment")
    assert "of-environment" in str(invoke_error("info"))
    assert "of-option" in str(invoke_error("info", "--store", "of-option"))


def invoke_error(*arguments: str) -> FeatureStoreError:
    with pytest.raises(FeatureStoreError) as raised:
        invoke(*arguments)
    return raised.value


def test_the_file_can_be_named_or_left_out(folder: Path, monkeypatch):
    (folder / NAME).write_text("workers = 3\n")
    other = folder / "other.toml"
    other.write_text("workers = 5\n")
    monkeypatch.setenv("FEATURESTORE_CONFIG", str(other))
    assert read_configuration().get("workers") == 5
    monkeypatch.setenv("FEATURESTORE_CONFIG", "")
    assert read_configuration().get("workers") is None
    monkeypatch.setenv("FEATURESTORE_CONFIG", str(folder / "missing.toml"))
    with pytest.raises(InvalidInputError, match=r"missing\.toml"):
        read_configuration()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('stor = "x"', "unknown key of {file} 'stor'; did you mean 'store'?"),
        ("[encoders]\nstructures = 'x'", "unknown key of [encoders] in {file} 'structures'"),
        ("[encoder]\ntext = 'x'", "did you mean '[encoders]'?"),
        ("encoders = 'x'", "{file}: encoders is a table"),
        ("workers = 0", "{file}: workers needs a whole number from 1, not 0"),
        ("workers = true", "{file}: workers needs a whole number from 1, not True"),
        ("store = ''", "{file}: store needs a text that is not empty"),
        ("property-registry = [1]", "{file}: property-registry needs a path, or a list of paths"),
        ("record-paths = 'short'", '{file}: record-paths needs "full" or "relative"'),
        ("[aliases]\nt = 3", "{file}: the alias 't' needs the beginning of a command"),
        ("[aliases]\n'--t' = 'info'", "{file}: the alias '--t' is no word"),
        ("workers =", "{file} is not TOML"),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_key(folder: Path, content: str, said: str):
    (folder / NAME).write_text(content)
    with pytest.raises((InvalidInputError, UnknownNameError)) as raised:
        read_configuration()
    assert said.format(file=folder / NAME) in str(raised.value)


def test_a_variable_that_cannot_be_used_is_named(folder: Path, monkeypatch):
    monkeypatch.setenv("FEATURESTORE_WORKERS", "many")
    with pytest.raises(InvalidInputError, match="FEATURESTORE_WORKERS needs a whole number"):
        read_configuration()


def test_a_file_of_another_user_is_refused_with_the_way_out(folder: Path, monkeypatch):
    (folder / NAME).write_text("workers = 2\n")
    owner = (folder / NAME).stat().st_uid
    real = Path.stat

    def foreign(path: Path, **how: bool) -> os.stat_result:
        found = real(path, **how)
        if path.name != NAME:
            return found
        fields = list(found)
        fields[stat.ST_UID] = 4242
        return os.stat_result(fields)

    assert owner != 4242
    monkeypatch.setattr(Path, "stat", foreign)
    with pytest.raises(InvalidInputError, match=f"FEATURESTORE_CONFIG={folder / NAME}"):
        read_configuration()


def test_show_says_each_value_and_where_it_came_from(folder: Path, monkeypatch):
    (folder / NAME).write_text('store = "lab"\n[aliases]\npaper = "train list --split paper"\n')
    monkeypatch.setenv("FEATURESTORE_WORKERS", "2")
    rows = {
        row["key"]: row for row in json.loads(invoke("config", "show", "--format", "json").output)
    }
    assert set(KEYS) | {"aliases.paper"} == set(rows)
    said = {key: (row["value"], row["from"]) for key, row in rows.items()}
    assert said["store"] == (str(folder / "lab"), str(folder / NAME))
    assert said["workers"] == ("2", "environment FEATURESTORE_WORKERS")
    assert said["cache"] == (KEYS["cache"].default, "default")
    assert "train list --split paper" in invoke("config", "show").output


def test_help_says_the_configured_default(folder: Path):
    (folder / NAME).write_text('store = "s3://lab/store"\nworkers = 3\n')
    shown = " ".join(invoke("ingest", "text", "--help").output.split())
    assert "[env var: FEATURESTORE_URI; default: s3://lab/store]" in shown


def test_an_alias_stands_for_the_beginning_of_a_command(folder: Path):
    (folder / NAME).write_text(
        "[aliases]\nq = \"sql 'SELECT 1 AS x'\"\nbad = 'trian'\nopen = \"sql '\"\ninfo = 'sql'\n"
    )
    assert "there is no store at nowhere" in str(invoke_error("q", "--store", "nowhere"))
    assert "begins with no command" in str(invoke_error("bad"))
    assert "cannot be read" in str(invoke_error("open"))
    # what ships is never hidden
    assert "there is no store" in str(invoke_error("info"))
