"""Opens files of strangers: regular ones only, unpacked, never more bytes than a limit."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from featurestore.files import OPENING
from ingest.structures.refusals import LimitError, UnreadableFileError

LARGEST_FILE = 256 << 20  # bytes, unpacked
HEAD = 64 << 10  # bytes; enough to tell formats apart
_CHUNK = 1 << 20
_PIECE = 4 << 10

COMPRESSIONS = (".gz", ".bz2", ".xz")
# Damaged headers ask for gigabytes.
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, MemoryError)
_KINDS = {
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
    stat.S_ISDIR: "a folder",
}


def shown(path: str | os.PathLike[str]) -> str:
    """A path or name as text that can be printed and stored: other bytes as ``\\xe9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def why_not_regular(path: Path) -> str:
    """What a path is if it is no regular file, in words; empty if it is one.

    Raises
    ------
    OSError
        If there is nothing.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return ""
    kind = next((name for test, name in _KINDS.items() if test(mode)), "something")
    return f"{'a link to ' if path.is_symlink() else ''}{kind}, not a regular file"


def without_compression(name: str) -> str:
    """A file name without ``.gz`` and the like, however they are spelt."""
    while name.lower().endswith(COMPRESSIONS):
        name = name.rpartition(".")[0]
    return name


def read_whole(path: Path) -> bytes:
    """What a file holds, unpacked.

    Raises
    ------
    LimitError
        If it is no regular file, or has more than `LARGEST_FILE` bytes.
    UnreadableFileError
        If it cannot be opened, or its compression is damaged.
    """
    return _read(path, LARGEST_FILE, whole=True)


def read_head(path: Path) -> str:
    """The beginning of a file, unpacked, as text in which what is no ASCII is kept as Latin-1.

    Raises
    ------
    LimitError, UnreadableFileError
        As `read_whole`.
    """
    return _as_text(_read(path, HEAD, whole=False))


def head_of(data: bytes) -> str:
    """The same of bytes that may be compressed, and of which the end may be missing.

    Raises
    ------
    UnreadableFileError
        If their compression is damaged from the beginning.
    """
    parts: list[bytes] = []
    try:
        with _unpacking(io.BytesIO(data)) as file:
            while sum(map(len, parts)) < HEAD and (part := file.read(_PIECE)):
                parts.append(part)
    except DAMAGED as error:
        if not parts:
            raise _damaged(error) from error
    return _as_text(b"".join(parts)[:HEAD])


def _as_text(head: bytes) -> str:
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def unpacked(data: bytes) -> bytes:
    """Bytes that may be compressed, unpacked.

    Raises
    ------
    LimitError
        If they are more than `LARGEST_FILE`.
    UnreadableFileError
        If they are damaged.
    """
    try:
        return _limited(_unpacking(io.BytesIO(data)), LARGEST_FILE, whole=True)
    except DAMAGED as error:
        raise _damaged(error) from error


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading; a FIFO does not make it wait.

    Raises
    ------
    LimitError
        If it is something else.
    OSError
        If it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | OPENING)
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LimitError(f"it is {why_not_regular(path)}")
        stack.pop_all()
    return os.fdopen(descriptor, "rb")


def open_unpacked(path: Path) -> IO[bytes]:
    """`open_regular`, with the compression taken off."""
    file = open_regular(path)
    try:
        return _unpacking(file)
    except BaseException:
        file.close()
        raise


def _read(path: Path, limit: int, whole: bool) -> bytes:
    try:
        with open_unpacked(path) as file:
            return _limited(file, limit, whole)
    except DAMAGED as error:
        raise _damaged(error) from error
    except OSError as error:
        raise UnreadableFileError(f"it cannot be opened: {error.strerror or error}") from error


def why_damaged(error: BaseException) -> str:
    """What an error of `DAMAGED` says."""
    return str(error) or "it asks for more memory than there is"


def _damaged(error: BaseException) -> UnreadableFileError:
    return UnreadableFileError(f"its compression is damaged or cut off: {why_damaged(error)}")


def _unpacking(file: IO[bytes]) -> IO[bytes]:
    """Over the compression that the first bytes tell, whatever the suffix says."""
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(file)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.open(file)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(file)
    return file


def _limited(file: IO[bytes], limit: int, whole: bool) -> bytes:
    parts = []
    left = limit
    while left and (part := file.read(min(_CHUNK, left))):
        parts.append(part)
        left -= len(part)
    if whole and not left and file.read(1):
        raise LimitError(f"it has more than {limit:,} bytes, unpacked")
    return b"".join(parts)
