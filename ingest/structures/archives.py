"""Members of zip and tar files as units to read: no links, no devices, bounded bytes."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, cast

from featurestore.failure import Failure
from featurestore.messages import storable
from ingest.structures.archive_runs import RunsBeside
from ingest.structures.files import Unit
from ingest.structures.ids import IdRule
from ingest.structures.opening import (
    DAMAGED,
    HEAD,
    LARGEST_FILE,
    open_regular,
    open_unpacked,
    why_damaged,
)
from ingest.structures.passed_over import back_up
from ingest.structures.readers.registry import name_may_tell, readers_of_name
from ingest.structures.refusals import InvalidStructureError, LimitError, UnreadableFileError

MOST_MEMBERS = 1_000_000
MOST_BYTES = 16 << 30  # of all members, unpacked

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
_CHUNK = 1 << 20


def is_packed(name: str) -> bool:
    """Whether a file is an archive by its name."""
    return name.lower().endswith((*_ZIP, *_TAR))


def packed_stem(name: str) -> str:
    """The name of an archive without its suffixes."""
    for suffix in sorted((*_ZIP, *_TAR), key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def members(path: Path, unit: Unit, rule: IdRule) -> Iterator[Unit]:
    """The members of an archive, each as a unit; hidden ones and folders are passed.

    They come in its order, but for structures that wait for the run beside them.

    Parameters
    ----------
    unit : Unit
        The archive itself; its options are those of its members.
    rule : IdRule
        By which members get their ids.
    """
    listing = _zip if path.name.lower().endswith(_ZIP) else _tar
    try:
        with open_regular(path) as file, listing(path, file) as (names, openings):
            yield from _units(names, openings, unit, rule)
    except InvalidStructureError as error:
        yield replace(unit, refused=Failure.of(error))
    except _DAMAGED as error:
        broken = UnreadableFileError(
            f"the archive is damaged or cut off, fetch it again: {why_damaged(error)}"
        )
        yield replace(unit, refused=Failure.of(broken))


# Opens a member, or says that it is no regular file; in the order of the members' names.
_Openings = Iterator[Callable[[], IO[bytes] | None]]

_UNPACKABLE = (
    zipfile.BadZipFile,
    *DAMAGED,
    RuntimeError,  # an encrypted member
    NotImplementedError,  # a compression that Python has not
)
_DAMAGED = (*_UNPACKABLE, tarfile.TarError, OSError, EOFError, ValueError)


def _units(names: list[str], openings: _Openings, unit: Unit, rule: IdRule) -> Iterator[Unit]:
    runs = RunsBeside(names)
    left = [MOST_BYTES]
    try:
        for name, material_id, opening in zip(
            names, _ids(names, unit, rule), openings, strict=True
        ):
            member = replace(
                unit, source=f"{unit.source}/{name}", material_id=material_id, path=None
            )
            yield from runs.come(name, _read(member, opening, runs.is_run(name), left))
    except (InvalidStructureError, *_DAMAGED):
        yield from runs.rest()
        raise


@contextmanager
def _zip(path: Path, file: IO[bytes]) -> Iterator[tuple[list[str], _Openings]]:
    with zipfile.ZipFile(file) as archive:
        infos = [info for info in archive.infolist() if _counts(info.filename, info.is_dir())]
        _check_number(len(infos))
        yield (
            [_plain(info.filename) for info in infos],
            (partial(_open_in_zip, archive, info) for info in infos),
        )


def _open_in_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes] | None:
    mode = info.external_attr >> 16
    return archive.open(info) if stat.S_IFMT(mode) in (0, stat.S_IFREG) else None


@contextmanager
def _tar(path: Path, file: IO[bytes]) -> Iterator[tuple[list[str], _Openings]]:
    """Read twice, for the names first: a tar has no table of contents."""
    file.close()
    names = []
    with _streamed(path) as archive:
        for info in archive:
            if _counts(info.name, info.isdir()):
                names.append(_plain(info.name))
                _check_number(len(names))
    with _streamed(path) as archive:
        yield (
            names,
            (
                partial(archive.extractfile, info) if info.isreg() else _nothing
                for info in archive
                if _counts(info.name, info.isdir())
            ),
        )


def _nothing() -> None:
    """What is opened of a link or a device."""


@contextmanager
def _streamed(path: Path) -> Iterator[tarfile.TarFile]:
    with open_unpacked(path) as opened:
        counted = cast(IO[bytes], _Counted(opened))
        with tarfile.open(fileobj=counted, mode="r|") as archive:
            yield archive


class _Counted:
    """A file that refuses to give more than `MOST_BYTES`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MOST_BYTES

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        self._left -= len(data)
        if self._left < 0:
            raise LimitError(f"the archive unpacks to more than {MOST_BYTES:,} bytes")
        return data


def _read(
    member: Unit, opening: Callable[[], IO[bytes] | None], whole: bool, left: list[int]
) -> Unit:
    """The member with what is in it; one of no known format with its beginning alone.

    Parameters
    ----------
    whole : bool
        Whether all of it is wanted whatever its name says.
    left : list of int
        How many bytes of the archive may still be unpacked.
    """
    if passed := back_up(member.name):
        return replace(member, refused=passed)
    if is_packed(member.name):
        return _refused(member, "it is an archive in an archive; unpack it first")
    known = bool(readers_of_name(member.name))
    limit = LARGEST_FILE if known or whole or name_may_tell(member.name) else HEAD
    try:
        opened = opening()
        if opened is None:
            return _refused(member, "it is a link or a device in the archive")
        with opened as file:
            parts: list[bytes] = []
            size = 0
            while size < limit and (part := file.read(min(_CHUNK, limit - size))):
                parts.append(part)
                size += len(part)
                left[0] -= len(part)
                if left[0] < 0:
                    raise LimitError(f"the archive unpacks to more than {MOST_BYTES:,} bytes")
            more = size == limit and bool(file.read(1))
    except _UNPACKABLE as error:
        broken = UnreadableFileError(f"the member cannot be unpacked: {why_damaged(error)}")
        return replace(member, refused=Failure.of(broken))
    if more and known:
        return _refused(member, f"it has more than {LARGEST_FILE:,} bytes, unpacked")
    return replace(member, data=b"".join(parts), cut=more)


def _refused(member: Unit, why: str) -> Unit:
    return replace(member, refused=Failure.of(LimitError(why)))


def _check_number(number: int) -> None:
    if number > MOST_MEMBERS:
        raise LimitError(f"the archive has more than {MOST_MEMBERS:,} members")


def _counts(name: str, is_folder: bool) -> bool:
    return not is_folder and not any(
        part.startswith(".") and part not in (".", "..") for part in name.split("/")
    )


def _plain(name: str) -> str:
    return storable(name.removeprefix("./").replace("\\", "/"))


def _ids(names: list[str], unit: Unit, rule: IdRule) -> list[str]:
    if rule.way in ("path", "regex"):
        return rule.ids([f"{packed_stem(unit.source)}/{name}" for name in names])
    return rule.ids(names)
