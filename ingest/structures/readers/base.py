"""What a reader is given and what it finds: a file's bytes in, crystals or reasons out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from featurestore.crystal import Crystal
from featurestore.failure import Failure
from ingest.structures.refusals import UnreadableFileError


@dataclass(frozen=True)
class Content:
    """A file's name and what is in it, unpacked.

    Parameters
    ----------
    name : str
        As it is shown, without folders and without suffixes of compression.
    data : bytes
        The whole of it.
    nearest_order : bool
        Whether disordered sites take their most abundant species instead of being refused.
    """

    name: str
    data: bytes
    nearest_order: bool = False

    @cached_property
    def _decoded(self) -> tuple[str, tuple[str, ...]]:
        for mark, encoding in _MARKS.items():
            if self.data.startswith(mark):
                try:
                    return self.data.decode(encoding), ()
                except UnicodeDecodeError as error:
                    raise UnreadableFileError(f"it is no {encoding} text: {error}") from error
        try:
            return self.data.decode("utf-8"), ()
        except UnicodeDecodeError:
            return self.data.decode("latin-1"), ("encoding: not UTF-8, read as Latin-1",)

    @property
    def text(self) -> str:
        """The text, by its byte order mark, else UTF-8, else Latin-1; DOS's end mark left out."""
        return self._decoded[0].rstrip("\x1a")

    @property
    def encoding_notes(self) -> tuple[str, ...]:
        """A note if the text is not UTF-8."""
        return self._decoded[1]

    def in_plain_signs(self) -> tuple[str, tuple[str, ...]]:
        """The text by `plain_signs`, and the notes on its encoding, with one if that is another."""
        text = plain_signs(self.text)
        return text, self.encoding_notes + ((PLAIN_SIGNS,) if text != self.text else ())


def plain_signs(text: str) -> str:
    """The text with the minus signs, quotes and spaces of typesetting as those of a keyboard."""
    if text.isascii():
        return text
    return _MINUS.sub("-", text).translate(_QUOTES_AND_SPACES)


PLAIN_SIGNS = "encoding: typeset minus signs, quotes or spaces are read as those of a keyboard"

# Windows' bytes for dashes and quotes are control characters in Latin-1.
_MINUS = re.compile(r"[\u2010-\u2014\u2212\ufe63\uff0d\x96\x97](?=[\dxyzXYZ.])")
_QUOTES_AND_SPACES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\x91\x92", "'"),
        **dict.fromkeys("\u201c\u201d\x93\x94", '"'),
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000", " "),
        **dict.fromkeys("\u200b\ufeff", ""),
    }
)

_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


@dataclass(frozen=True)
class Found:
    """One structure of a file, or why there is none.

    Parameters
    ----------
    structure : Crystal or Failure
    block : str
        Where in the file: a data block, a key, a number; empty where there is no more than one.
    notes : tuple of str
        What was not plain about it, each ``kind: sentence``.
    targets : mapping of str to object
        Values that stand beside the structure.
    material_id : str
        How the file names the material; empty if it does not.
    space_group : int, optional
        The number of the space group that the file states.
    """

    structure: Crystal | Failure
    block: str = ""
    notes: tuple[str, ...] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)
    material_id: str = ""
    space_group: int | None = None


Reader = Callable[[Content], Iterator[Found]]


def parse_json(text: str) -> Any:
    """The plain data of a JSON text: no object is built from it.

    Raises
    ------
    UnreadableFileError
        If it is no JSON, is nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UnreadableFileError("the JSON is nested too deeply to be a structure") from error
    except json.JSONDecodeError as error:
        raise UnreadableFileError(
            f"no valid JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except ValueError as error:
        raise UnreadableFileError(f"no valid JSON: {error}") from error
