"""Wheel and sdist can be built and hold all that commands read beside Python."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from benchmarks.wheel import ROOT, build, differences, missing, rebuilt


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file_and_the_sdist_what_builds_it(tmp_path: Path):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout: what is not in it is not built")
    wheel, sdist = build(tmp_path)
    assert (wheel.suffix, "".join(sdist.suffixes[-2:])) == (".whl", ".tar.gz")
    assert not missing(wheel)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "NOTICES.md"} <= names
    assert not differences(wheel, rebuilt(sdist, tmp_path / "again"))
