"""Named members of downloaded zip files, read with a limit on their size."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from featurestore.errors import InvalidInputError

MAXIMUM_BYTES = 4 * 2**30

_CHECKPOINT = re.compile(r"checkpoint_(\d+)\.pt$")


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file.

    Raises
    ------
    InvalidInputError
        If the file is not a zip file, or is damaged where it is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InvalidInputError(f"{path.name} is not a whole zip file: {error}") from error


def copy_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    """Write one member to ``target``, whose name never comes from the archive.

    Raises
    ------
    InvalidInputError
        If the member is missing, or larger than ``MAXIMUM_BYTES``.
    """
    try:
        info = archive.getinfo(member)
    except KeyError:
        raise InvalidInputError(f"{_name(archive)} has no member {member!r}") from None
    if info.file_size > MAXIMUM_BYTES:
        raise InvalidInputError(
            f"{_name(archive)}: {member!r} has {info.file_size} bytes, over the limit of "
            f"{MAXIMUM_BYTES}"
        )
    with archive.open(info) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 2**20)


def single_member(archive: zipfile.ZipFile, prefix: str) -> str:
    """The one member whose base name starts with ``prefix``.

    Raises
    ------
    InvalidInputError
        If there is none, or several.
    """
    found = [n for n in archive.namelist() if PurePosixPath(n).name.startswith(prefix)]
    if len(found) != 1:
        raise InvalidInputError(
            f"{_name(archive)} has {len(found)} members that start with {prefix!r}, expected one"
        )
    return found[0]


def alignn_members(names: Iterable[str]) -> dict[str, str]:
    """The configuration and the checkpoint among the members of a published ALIGNN zip file.

    Returns ``{"config.json": member, "best_model.pt": member}``. Where there is no
    ``best_model.pt`` the checkpoint with the highest number is taken, as ALIGNN's own loader
    does where numbers ascend.

    Raises
    ------
    InvalidInputError
        If either is missing, or a name occurs in several folders.
    """
    names = [name for name in names if not PurePosixPath(name).name.startswith("._")]
    by_name: dict[str, list[str]] = {}
    for name in names:
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    checkpoints = {
        int(match.group(1)): name for name in by_name if (match := _CHECKPOINT.match(name))
    }
    model = "best_model.pt"
    if model not in by_name and checkpoints:
        model = checkpoints[max(checkpoints)]
    members = {}
    for target, name in (("config.json", "config.json"), ("best_model.pt", model)):
        found = by_name.get(name, [])
        if len(found) != 1:
            raise InvalidInputError(
                f"expected one file {name!r} (or checkpoint_N.pt), found {len(found)} among: "
                + ", ".join(names[:20])
            )
        members[target] = found[0]
    return members


def _name(archive: zipfile.ZipFile) -> str:
    return Path(archive.filename or "zip file").name
