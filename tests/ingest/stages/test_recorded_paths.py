"""Paths of source files in the record of runs: as given, or on request without what is above."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner
from tiers import few

from featurestore.cli import root
from featurestore.store import FeatureStore
from ingest.recording import _file_sha256

CELL = "NaCl\n1.0\n3 0 0\n0 3 0\n0 0 3\nNa Cl\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"


@pytest.mark.parametrize("relative", few([True, False], 1))
def test_what_is_recorded(tmp_path, monkeypatch, relative):
    if relative:
        monkeypatch.setenv("FEATURESTORE_RECORD_PATHS", "relative")
    folder = tmp_path / "secret-project" / "cells"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.vasp").write_text(CELL.replace("3 0 0", f"3.{ord(name)} 0 0"))
    files = [str(folder / "a" / "a.vasp"), str(folder / "b" / "b.vasp")]
    command = ["ingest", "structures", *files, "--store", str(tmp_path / "store")]
    assert CliRunner().invoke(root, command).exit_code == 0
    [row] = FeatureStore.open(tmp_path / "store").sql("SELECT arguments FROM runs").to_pylist()
    assert ("secret-project" in row["arguments"]) is not relative
    recorded = json.loads(row["arguments"])
    expected = ["a/a.vasp", "b/b.vasp"] if relative else files
    assert recorded["sources"] == expected and sorted(recorded["source_sha256"]) == expected


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert _file_sha256(tmp_path / "fifo").startswith("not read: ")
