"""Container and conda recipes agree with the package; none of them is built here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FILES = [ROOT / "containers" / name for name in ("Dockerfile", "Dockerfile.cuda")]


def locked(package: str) -> str:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    found = re.search(rf"^{package}==(.+)$", text, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_images_take_the_lock_and_run_without_rights(path: Path):
    text = path.read_text("utf-8")
    assert f"torch=={locked('torch')}+" in text
    assert "--constraint constraints.txt" in text
    last = text.split("\nFROM ")[-1]
    assert (
        "\nUSER 1000\n" in last
        and "--uid 1000" in last
        and last.index("USER") < last.index("ENTRYPOINT")
    )
    assert not re.search(r"(?i)(secret|token|password)", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_images_copy_is_there_and_let_through(path: Path):
    allowed = (ROOT / ".dockerignore").read_text("utf-8").split()
    for line in re.findall(r"^COPY (?!--from)(.+)$", path.read_text("utf-8"), re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists() and f"!{source}" in allowed, source


def test_images_have_every_room_and_file_that_the_build_reads():
    text = FILES[0].read_text("utf-8")
    named = [PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"]
    assert all(name in text for name in (*named, "featurestore", "ingest", "train", "explain"))


def test_the_images_differ_in_torch_alone():
    def compared(path: Path) -> list[str]:
        lines = path.read_text("utf-8").replace("FEATURESTORE_CACHE=/home", "").splitlines()
        told = ["torch", "--no-deps", "NVIDIA", "#", "/.cache"]
        told.append("--python /opt/featurestore/bin/python \\")
        return [line for line in lines if not any(one in line for one in told)]

    cpu, cuda = map(compared, FILES)
    assert cpu == cuda and len(cpu) > 20


def test_the_recipe_asks_for_what_the_package_asks_for():
    text = (ROOT / "containers" / "conda" / "meta.yaml").read_text("utf-8")
    recipe = yaml.safe_load(text.replace("{{ PYTHON }}", "python"))
    assert recipe["package"]["version"] == PROJECT["version"]
    renamed = {"torch": "pytorch", "duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}
    wanted = set()
    for one in PROJECT["dependencies"]:
        found = re.match(r"([A-Za-z0-9._-]+)([^;]*)", one)
        assert found
        if found[1] != "dgl":  # for tests alone, and no package of conda-forge for this torch
            wanted.add(f"{renamed.get(found[1], found[1])} {found[2].strip()}")
    asked = {" ".join(one.split()) for one in recipe["requirements"]["run"]}
    assert asked == wanted | {f"python {PROJECT['requires-python']}"}
    command = recipe["build"]["entry_points"][0]
    assert command == f"featurestore = {PROJECT['scripts']['featurestore']}"
