"""What is imported is declared, and what is declared is what the texts were proven on."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from featurestore.rooms import ROOMS
from ingest.text.robocrys_layer import PROVEN
from ingest.weights.registry import registry

ROOT = Path(__file__).parents[2]
#: Imported where a caller asks for them by name, and then by an error that names them.
ON_REQUEST = {"pandas", "polars"}
#: Distributions that are called otherwise than their module, where they are not installed.
CALLED = {"mlflow": ["mlflow-skinny"]}
#: For those who test parts of their own.
FOR_TESTS = {"pytest"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def requirements() -> dict[str, str]:
    extras = project()["optional-dependencies"]
    asked = [*project()["dependencies"]]
    asked += [one for name, many in extras.items() if name not in ("dev", "docs") for one in many]
    split = [re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?(.*)", one) for one in asked]
    return {normal(found[1]): found[2] for found in split if found}


def imported() -> dict[str, str]:
    """Third-party modules at the top of a dotted name, with a file that imports each."""
    found: dict[str, str] = {}
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], str(path.relative_to(ROOT)))
    own = {*ROOMS, *sys.stdlib_module_names}
    return {name: path for name, path in found.items() if name not in own}


def test_every_imported_package_is_declared():
    declared, packages = requirements(), metadata.packages_distributions()
    lacking = {
        name: path
        for name, path in imported().items()
        if name not in ON_REQUEST | FOR_TESTS
        and not {normal(one) for one in packages.get(name) or CALLED.get(name, [name])}
        & set(declared)
    }
    assert not lacking


def test_the_range_holds_the_versions_that_the_texts_are_proven_on():
    constraints = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text("utf-8").split("\n")
        if line
    )
    for package, version in PROVEN.items():
        assert constraints[package] == version
        assert "==" not in requirements().get(package, "")


def test_the_version_of_the_citation_is_that_of_the_package():
    cited = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {project()['version']}\n" in cited
    assert f"## {project()['version']}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_weight_has_its_licence_in_the_notices():
    notices = (ROOT / "NOTICES.md").read_text("utf-8")
    for weights in registry().values():
        assert f"| `{weights.name}` | {weights.licence} |" in notices
