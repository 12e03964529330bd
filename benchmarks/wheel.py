"""Installs the built wheel into an empty environment and runs the README's first commands there.

    python -m benchmarks.wheel

builds wheel and sdist, makes an environment with uv where it is there (else venv and pip), installs
the wheel with the constraints, and says seconds and bytes. The commands run in an empty folder that
holds a file train.py, the name of a room of this package. uv reads no configuration of pip's: where
an index of your own is wanted, set UV_INDEX_URL or UV_FIND_LINKS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
#: What the wheel must hold beside Python: without these commands fail that no import shows.
DATA = (
    "featurestore/properties.toml",
    "explain/templates/report.html",
    "explain/templates/study.html",
    "explain/study/studies/hybrid-llm-gnn.toml",
    "explain/study/studies/li-2025-errors.csv",
    "featurestore/py.typed",
)
_PATTERNS = ("*.py", "*.sql", "*.toml", "*.json", "*.csv", "*.html", "*.css", "*.js", "*.zip")
COMMANDS = (
    ("--version",),
    ("--help",),
    ("config", "show"),
    ("ingest", "sample"),
    ("ingest", "splits", "--random", "80/10/10", "--property", "formation_energy_peratom"),
    ("ingest", "text", "--text", "chemnlp", "--material", "JVASP-1372"),
    ("sql", "SELECT count(*) AS n FROM materials"),
    ("study", "plan", "hybrid-llm-gnn"),
    ("info",),
)


def build(folder: Path) -> list[Path]:
    """Wheel and sdist of this checkout, from a copy: building leaves nothing behind in it."""
    copy = folder / "source"
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    made = folder / "dist"
    made.mkdir()
    for kind in ("wheel", "sdist"):
        _build(kind, copy, made)
    return sorted(made.iterdir(), key=lambda path: path.suffix != ".whl")


def rebuilt(sdist: Path, folder: Path) -> Path:
    """The wheel that the sdist gives, as an installer that finds no wheel makes it."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    made = folder / "dist"
    made.mkdir()
    _build("wheel", folder / sdist.name.removesuffix(".tar.gz"), made)
    (wheel,) = made.iterdir()
    return wheel


def _build(kind: str, source: Path, made: Path) -> None:
    script = f"import sys; from setuptools import build_meta as b; b.build_{kind}(sys.argv[1])"
    _run([sys.executable, "-c", script, str(made)], cwd=source)


def missing(wheel: Path) -> list[str]:
    """What the wheel lacks of `DATA`, and of the modules and data files of this checkout."""
    with zipfile.ZipFile(wheel) as archive:
        there = set(archive.namelist())
    rooms = ("featurestore", "ingest", "train", "explain")
    wanted = {
        str(path.relative_to(ROOT))
        for room in rooms
        for pattern in _PATTERNS
        for path in (ROOT / room).rglob(pattern)
    }
    return sorted((wanted | set(DATA)) - there)


def differences(first: Path, second: Path) -> list[str]:
    """The files in which two wheels differ."""
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        held = [{name: wheel.read(name) for name in wheel.namelist()} for wheel in (one, other)]
    names = held[0].keys() | held[1].keys()
    return sorted(name for name in names if held[0].get(name) != held[1].get(name))


def install(wheel: Path, environment: Path, torch: str) -> None:
    """The wheel with everything that it needs, in an environment that is made for it."""
    uv = shutil.which("uv")
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)])
        pip = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        _run([sys.executable, "-m", "venv", str(environment)])
        pip = [str(python), "-m", "pip", "install", "--quiet"]
    constraints = str(ROOT / "constraints.txt")
    _run([*pip, "--no-deps", torch])
    _run([*pip, "--constraint", constraints, str(wheel)])


def check(environment: Path, folder: Path) -> None:
    """``python -m pip check``, and the commands beside a file that is called train.py."""
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    _run([str(binaries / "python"), "-m", "pip", "check"])
    folder.mkdir()
    (folder / "train.py").write_text("raise SystemExit('this is the user’s own file')\n", "utf-8")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept |= {"FEATURESTORE_CONFIG": "", "FEATURESTORE_URI": "store"}
    for command in COMMANDS:
        started = time.monotonic()
        _run([str(binaries / "featurestore"), *command], cwd=folder, env=kept)
        click.echo(f"{time.monotonic() - started:6.1f} s  featurestore {' '.join(command)}")


def _run(command: Sequence[str], **how: object) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload]
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


@click.command()
@click.option(
    "--torch", default="torch==2.13.0", show_default=True, help="Which build of torch is taken."
)
@click.option("--build-only", is_flag=True, help="Look into wheel and sdist and install nothing.")
def main(torch: str, build_only: bool) -> None:
    """Build, install into an empty environment, check, and say seconds and bytes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        started = time.monotonic()
        wheel, sdist = build(folder)
        click.echo(f"{time.monotonic() - started:6.1f} s  building {wheel.name} and {sdist.name}")
        click.echo(f"{wheel.stat().st_size:,} and {sdist.stat().st_size:,} bytes")
        if lacking := missing(wheel):
            raise click.ClickException(f"the wheel lacks {', '.join(lacking[:5])}")
        if differing := differences(wheel, rebuilt(sdist, folder / "again")):
            raise click.ClickException(f"the sdist gives another wheel: {', '.join(differing[:5])}")
        if build_only:
            return
        environment = folder / "environment"
        started = time.monotonic()
        install(wheel, environment, torch)
        click.echo(f"{time.monotonic() - started:6.1f} s  installing")
        click.echo(f"{_bytes(environment):,} bytes installed")
        check(environment, folder / "elsewhere")


if __name__ == "__main__":
    main()
