"""Runs a fast part of the suite with the lowest or the newest allowed versions of every dependency.

    python -m benchmarks.versions lowest
    python -m benchmarks.versions newest --python 3.11 --python 3.12 --python 3.13 --python 3.14

makes an environment for each interpreter with uv, installs this checkout there with the versions
that ``--resolution`` gives, runs the tests, and prints the versions of every direct dependency and
what became of the tests. An interpreter that is not on this machine is said, and left out. The
environments lie in a temporary folder and go when they were used.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
#: Each direct dependency is called by one of them; together some three minutes of one core.
FAST = (
    "tests/cli/test_cli_commands.py",
    "tests/configuration/test_configuration.py",
    "tests/encoders/alignn/test_alignn_encoder.py",
    "tests/encoders/alignn/test_alignn_graph.py",
    "tests/encoders/bert/test_bert_encoder.py",
    "tests/encoders/test_chgnet.py",
    "tests/encoders/test_matminer.py",
    "tests/explain/report",
    "tests/explain/study/test_study_file.py",
    "tests/ingest/providers/test_columns.py",
    "tests/ingest/structures/test_fourteen_kinds.py",
    "tests/ingest/structures/test_ingest_files.py",
    "tests/ingest/structures/test_tables.py",
    "tests/ingest/targets/test_target_tables.py",
    "tests/search/test_search.py",
    "tests/store/history/test_snapshots.py",
    "tests/store/query",
    "tests/store/tables/test_local.py",
    "tests/store/test_export.py",
    "tests/store/views/test_store_views.py",
    "tests/text/test_chemnlp.py",
    "tests/text/test_robocrystallographer.py",
    "tests/train/predictors/test_baselines.py",
    "tests/train/predictors/test_ensemble.py",
    "tests/train/predictors/test_estimators.py",
    "tests/train/predictors/test_trainer.py",
    "tests/train/test_training.py",
)


@dataclass(frozen=True)
class Tried:
    """What became of an interpreter: ``versions`` by package, or why there are none."""

    python: str
    versions: dict[str, str]
    said: str
    passed: bool


def direct(extra: str) -> list[Requirement]:
    """The dependencies that ``pyproject.toml`` names, those of an extra among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"][extra]]
    return sorted((Requirement(one) for one in named), key=lambda one: one.name.lower())


def try_versions(
    uv: str, which: str, python: str, extra: str, overrides: Sequence[str], tests: Sequence[str]
) -> Tried:
    """Install and test in an environment of its own."""
    found = _run([uv, "python", "find", "--no-project", "--no-python-downloads", python])
    if found.returncode:
        return Tried(python, {}, "no such interpreter here: left out", True)
    with tempfile.TemporaryDirectory(prefix="versions-") as place:
        environment = Path(place) / "environment"
        _checked([uv, "venv", "--quiet", "--python", found.stdout.strip(), str(environment)])
        program = str(environment / ("Scripts" if os.name == "nt" else "bin") / "python")
        python = _checked(
            [program, "-c", "import platform as p; print(p.python_version())"]
        ).strip()
        given = Path(place) / "overrides.txt"
        given.write_text("\n".join(overrides) + "\n", "utf-8")
        install = [uv, "pip", "install", "--quiet", "--python", program]
        install += ["--resolution", RESOLUTIONS[which], "--overrides", str(given)]
        started = time.monotonic()
        done = _run([*install, "--editable", f".[{extra}]"])
        if done.returncode:
            return Tried(python, {}, "does not install: " + done.stderr.strip(), False)
        click.echo(f"{time.monotonic() - started:.0f} s to install for Python {python}", err=True)
        listed = _checked([uv, "pip", "freeze", "--quiet", "--python", program])
        versions = dict(line.split("==") for line in listed.splitlines() if "==" in line)
        before = _cpu()
        code, last = _told([program, "-m", "pytest", "-v", "-p", "no:cacheprovider", *tests])
        failed = [line for line in last if line.startswith(("FAILED", "ERROR"))]
        said = re.sub(r" in [\d.]+s.*$", "", last[-1]) if last else "pytest said nothing"
        said = "\n".join([f"{said}, {_cpu() - before:.0f} s of a core", *failed])
        return Tried(python, versions, said, code == 0)


def table(requirements: Sequence[Requirement], tried: Sequence[Tried]) -> str:
    """In Markdown the declared range of each direct dependency, and what was installed."""
    there = [one for one in tried if one.versions]
    lines = ["| package | allowed | " + " | ".join(f"Python {one.python}" for one in there) + " |"]
    lines.append("|---" * (2 + len(there)) + "|")
    for one in requirements:
        cells = [_version(one, of.versions) for of in there]
        lines.append(f"| {one.name} | {one.specifier} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _version(wanted: Requirement, versions: dict[str, str]) -> str:
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in versions.items()}
    return names.get(re.sub(r"[-_.]+", "-", wanted.name).lower(), "—")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)


def _told(command: Sequence[str]) -> tuple[int, list[str]]:
    """The exit code and the lines of a command that are shown as they come: a kill loses none."""
    lines = []
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept["PYTHONUNBUFFERED"] = "1"
    with subprocess.Popen(
        command, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            click.echo(line, nl=False, err=True)
            if line.strip():
                lines.append(line.strip())
    return running.returncode, lines


def _checked(command: Sequence[str]) -> str:
    done = _run(command)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


@click.command()
@click.argument("which", type=click.Choice(sorted(RESOLUTIONS)))
@click.option(
    "--python",
    "pythons",
    multiple=True,
    default=(f"{sys.version_info.major}.{sys.version_info.minor}",),
    help="Version or path of an interpreter (may be repeated). Default: the running one.",
)
@click.option("--extra", default="dev", show_default=True, help="The extra that is installed.")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    help="A requirement that replaces ours, as torch==2.13.0+cpu (may be repeated).",
)
@click.argument("tests", nargs=-1)
def main(
    which: str,
    pythons: tuple[str, ...],
    extra: str,
    overrides: tuple[str, ...],
    tests: tuple[str, ...],
) -> None:
    """Try the lowest or the newest allowed versions; TESTS are by default a fast part of all.

    uv reads no configuration of pip's: UV_INDEX_URL and UV_FIND_LINKS name places of one's own.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise click.ClickException("needs uv: pip install uv")
    tried = [try_versions(uv, which, one, extra, overrides, tests or FAST) for one in pythons]
    if any(one.versions for one in tried):
        click.echo(table(direct(extra), tried))
    for one in tried:
        click.echo(f"\nPython {one.python}, {which}: {one.said}")
    if not all(one.passed for one in tried) or not any(one.versions for one in tried):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
