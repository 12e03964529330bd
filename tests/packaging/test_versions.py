"""The versions that are tried are those of `pyproject.toml`; what is not there is said."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from packaging.tags import Tag

from benchmarks import downloads, versions

ROOT = Path(__file__).parents[2]


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for uv that knows no interpreter."""
    path = tmp_path / "uv"
    path.write_text("#!/bin/sh\nexit 2\n", "utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return path


def test_an_interpreter_that_is_not_there_is_said_and_nothing_tried_is_no_success(uv: Path) -> None:
    done = CliRunner().invoke(versions.main, ["newest", "--python", "3.99"])
    assert "Python 3.99, newest: no such interpreter here: left out" in done.output
    assert done.exit_code == 1


def test_every_direct_dependency_is_in_the_table_with_what_was_installed() -> None:
    requirements = versions.direct("dev")
    names = {one.name for one in requirements}
    assert {"torch", "lancedb", "hypothesis"} <= names
    tried = [versions.Tried("3.11.2", {"torch": "2.13.0", "prompt-toolkit": "3.0.50"}, "", True)]
    rows = versions.table(requirements, tried).splitlines()
    assert len(rows) == 2 + len(requirements)
    assert "| torch | >=2.13 | 2.13.0 |" in rows
    assert "| prompt_toolkit | >=3.0.50 | 3.0.50 |" in rows


def test_tests_that_are_run_exist() -> None:
    assert all((ROOT / one).exists() for one in versions.FAST)


def test_the_schedule_tries_what_the_package_says_it_runs_on() -> None:
    said = yaml.safe_load((ROOT / ".github" / "workflows" / "versions.yml").read_text("utf-8"))
    matrix = said["jobs"]["versions"]["strategy"]["matrix"]
    assert set(matrix["versions"]) == set(versions.RESOLUTIONS)
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert matrix["python"] == re.findall(r"Python :: (3\.\d+)", text)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"PYTHONS ?= {' '.join(matrix['python'])}" in makefile


def test_the_bytes_of_an_installation_are_those_of_the_file_that_fits(tmp_path: Path) -> None:
    local = tmp_path / "c-1.0+cpu-py3-none-any.whl"
    local.write_bytes(b"123")
    url = "https://example.org/files/"
    document = {
        "packages": [
            {
                "name": "a",
                "wheels": [
                    {"url": f"{url}a-1.0-py3-none-any.whl", "size": 5},
                    {"url": f"{url}a-1.0-cp311-cp311-linux_x86_64.whl", "size": 70},
                    {"url": f"{url}a-1.0-cp311-cp311-win_amd64.whl", "size": 900},
                ],
                "sdist": {"url": f"{url}a-1.0.tar.gz", "size": 1},
            },
            {"name": "b", "wheels": [], "sdist": {"url": f"{url}b-1.0.tar.gz", "size": 11}},
            {"name": "c", "wheels": [{"url": local.as_uri()}]},
        ]
    }
    here = [Tag("cp311", "cp311", "linux_x86_64"), Tag("py3", "none", "any")]
    assert downloads.fetched(document, here) == [
        downloads.Fetched("a", 70, True),
        downloads.Fetched("b", 11, False),
        downloads.Fetched("c", 3, True),
    ]
    document["packages"] = [{"name": "d", "wheels": [{"url": f"{url}d-1.0-py3-none-any.whl"}]}]
    with pytest.raises(click.ClickException, match=r"does not say how large d-1\.0"):
        downloads.fetched(document, here)
