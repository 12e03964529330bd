"""How many bytes an installation fetches, by the index's own sizes; nothing is fetched.

    python -m benchmarks.downloads --extra explore --override torch==2.13.0+cpu

has uv find the locked versions and takes the wheel that fits this machine and interpreter, else the
source archive, of each. uv reads no configuration of pip's: UV_INDEX_URL and UV_FIND_LINKS name
places of one's own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
from packaging.tags import Tag, sys_tags
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fetched:
    """What is fetched of a package: ``size`` in bytes, and whether it is a wheel."""

    name: str
    size: int
    wheel: bool


def lock(extras: Sequence[str], overrides: Sequence[str]) -> dict[str, Any]:
    """What uv would install here of the locked versions, as a pylock document."""
    uv = shutil.which("uv")
    if uv is None:
        raise click.ClickException("needs uv: pip install uv")
    with tempfile.TemporaryDirectory() as place:
        given, made = Path(place) / "overrides.txt", Path(place) / "pylock.toml"
        given.write_text("\n".join(overrides) + "\n", "utf-8")
        command = [uv, "pip", "compile", "--quiet", "--format", "pylock.toml", "-o", str(made)]
        command += ["--python", sys.executable, "--overrides", str(given)]
        command += ["--constraint", str(ROOT / "constraints.txt"), str(ROOT / "pyproject.toml")]
        command += [word for extra in extras for word in ("--extra", extra)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(done.stderr.strip())
        return tomllib.loads(made.read_text("utf-8"))


def fetched(document: Mapping[str, Any], supported: Sequence[Tag]) -> list[Fetched]:
    """The file of each package that an installer takes, the largest first."""
    rank = {tag: place for place, tag in enumerate(supported)}
    found = []
    for package in document["packages"]:
        fitting = [
            (min(rank[tag] for tag in tags if tag in rank), wheel)
            for wheel in package.get("wheels", ())
            if not (tags := parse_wheel_filename(_name(wheel))[3]).isdisjoint(rank)
        ]
        if fitting:
            chosen = min(fitting, key=lambda one: one[0])[1]
        elif "sdist" in package:
            chosen = package["sdist"]
        else:
            raise click.ClickException(f"{package['name']} has nothing for this machine")
        found.append(Fetched(package["name"], _size(chosen), bool(fitting)))
    return sorted(found, key=lambda one: -one.size)


def _name(file: Mapping[str, Any]) -> str:
    return unquote(file.get("name") or urlsplit(file["url"]).path.rpartition("/")[2])


def _size(file: Mapping[str, Any]) -> int:
    if "size" in file:
        return int(file["size"])
    place = urlsplit(file["url"])
    if place.scheme != "file":
        raise click.ClickException(f"the index does not say how large {_name(file)} is")
    return Path(unquote(place.path)).stat().st_size


@click.command()
@click.option("--extra", "extras", multiple=True, help="An extra (may be repeated).")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    help="A requirement that replaces ours, as torch==2.13.0+cpu (may be repeated).",
)
@click.option("--largest", default=10, show_default=True, help="How many packages are named.")
def main(extras: tuple[str, ...], overrides: tuple[str, ...], largest: int) -> None:
    """Say how many bytes an installation fetches."""
    files = fetched(lock(extras, overrides), list(sys_tags()))
    built = [one.name for one in files if not one.wheel]
    click.echo(f"{len(files)} packages, {sum(one.size for one in files):,} bytes")
    click.echo(f"built from source: {', '.join(built) or 'none'}")
    for one in files[:largest]:
        click.echo(f"{one.size:13,}  {one.name}")


if __name__ == "__main__":
    main()
