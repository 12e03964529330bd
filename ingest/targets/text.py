"""Opens a file of text, compressed or not, in the encoding that the whole of it is in."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from featurestore.errors import InvalidInputError
from ingest.structures.opening import DAMAGED, open_unpacked, shown, why_damaged
from ingest.structures.refusals import LimitError

_CHUNK = 1 << 20
_MOST = 32 << 30  # bytes, unpacked; guards against a bomb
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def encoding_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """The encoding of a text, with a note if it is neither UTF-8 nor marked.

    The file is read once from end to end: a letter of another encoding may stand in its last line.

    Raises
    ------
    InvalidInputError
        If it cannot be read, is no text, or has more than 32 GiB.
    """
    with reading(path), open_unpacked(path) as file:
        part = file.read(_CHUNK)
        encoding = next((name for mark, name in _MARKS.items() if part.startswith(mark)), "utf-8")
        decoder = codecs.getincrementaldecoder(encoding)()
        size, is_valid = 0, True
        while part:
            size += len(part)
            if size > _MOST:
                raise InvalidInputError(f"{shown(path)} has more than {_MOST >> 30} GiB, unpacked")
            if encoding != "utf-16" and b"\0" in part:
                raise InvalidInputError(
                    f"{shown(path)} is no text that is understood (it has zero bytes): save it as "
                    "UTF-8"
                )
            if is_valid:
                try:
                    decoder.decode(part)
                except UnicodeDecodeError as error:
                    if encoding != "utf-8":
                        raise InvalidInputError(
                            f"{shown(path)} is no {encoding}: {error}"
                        ) from error
                    is_valid = False
            part = file.read(_CHUNK)
    if is_valid:
        return encoding, ()
    return "latin-1", ("encoding: not UTF-8, read as Latin-1",)


@contextmanager
def text_of(path: Path, encoding: str) -> Iterator[IO[str]]:
    """The text, with its line ends as they are."""
    with (
        reading(path),
        open_unpacked(path) as file,
        io.TextIOWrapper(file, encoding=encoding, newline="") as text,
    ):
        yield text


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong in reading a file as an `InvalidInputError` that names it."""
    try:
        yield
    except DAMAGED as error:
        raise InvalidInputError(
            f"{shown(path)}: its compression is damaged or cut off: {why_damaged(error)}"
        ) from error
    except (OSError, UnicodeDecodeError, LimitError) as error:
        raise InvalidInputError(f"cannot read {shown(path)}: {error}") from error
