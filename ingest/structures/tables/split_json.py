"""Reads matminer's JSON tables row by row: ``columns`` and ``index``, then ``data``.

The form is pandas' ``orient="split"``, of which Matbench's files have hundreds of megabytes: only
one row at a time is in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from featurestore.errors import InvalidInputError

_CHUNK = 1 << 20  # characters
_LONGEST_VALUE = 256 << 20  # characters; of the index, or of a row


def read_split_json(text: IO[str], what: str) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """The index and the cells by their columns, of each row.

    Parameters
    ----------
    text : text stream
    what : str
        The file, for messages.

    Raises
    ------
    InvalidInputError
        If it is no such table, ends too early or has a row of another length.
    """
    scanner = _Scanner(text, what)
    scanner.expect("{", "no table in JSON: it does not begin with {")
    columns: list[str] | None = None
    index: list[Any] | None = None
    rows = -1
    while scanner.peek() == '"':
        name = scanner.value()
        scanner.expect(":", f"no ':' after {str(name)[:40]!r}")
        if name == "data":
            if columns is None:
                raise InvalidInputError(
                    f"{what}: its data stand before its columns; write it with columns first"
                )
            rows = 0
            for row in scanner.elements():
                if not isinstance(row, list) or len(row) != len(columns):
                    raise InvalidInputError(
                        f"{what}: row {rows} has not the {len(columns)} cells of the columns"
                    )
                if index is not None and rows >= len(index):
                    raise InvalidInputError(
                        f"{what}: its index has {len(index):,} entries, fewer than its rows"
                    )
                yield (rows if index is None else index[rows]), dict(zip(columns, row, strict=True))
                rows += 1
        elif name == "columns":
            columns = _names(scanner.value(), what)
        else:
            value = scanner.value()
            index = value if name == "index" and isinstance(value, list) else index
        if scanner.peek() == ",":
            scanner.expect(",", "")
    scanner.expect("}", "what follows is neither a name nor the end")
    if rows < 0:
        raise InvalidInputError(
            f"{what} has no 'data': it is no table of matminer's form (columns, index, data)"
        )


def _names(value: Any, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidInputError(f"{what}: its 'columns' are no list of names")
    if len(set(value)) != len(value):
        raise InvalidInputError(f"{what}: two of its columns have one name")
    return value


class _Scanner:
    """A JSON text of which no more than one value is in memory."""

    def __init__(self, text: IO[str], what: str) -> None:
        self._text, self._what = text, what
        self._decoder = json.JSONDecoder()
        self._buffer, self._position, self._at_end = "", 0, False

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._position < len(self._buffer):
                if self._buffer[self._position] not in " \t\r\n":
                    return self._buffer[self._position]
                self._position += 1
            if not self._more():
                return ""

    def expect(self, character: str, otherwise: str) -> None:
        """Pass over a character, or raise."""
        if self.peek() != character:
            raise InvalidInputError(f"{self._what}: {otherwise}")
        self._position += 1

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                if len(self._buffer) - self._position > _LONGEST_VALUE or not self._more():
                    raise InvalidInputError(
                        f"{self._what} ends or breaks in the middle: {error.msg}; it may have "
                        "been cut off, fetch it again"
                    ) from error
                continue
            except RecursionError as error:
                raise InvalidInputError(f"{self._what} nests too deep to be read") from error
            except ValueError as error:  # a number of thousands of digits
                raise InvalidInputError(f"{self._what}: {error}") from error
            if end == len(self._buffer) and self._more():
                continue  # a number may go on
            self._position = end
            return value

    def elements(self) -> Iterator[Any]:
        """The elements of the list that comes next."""
        self.expect("[", "its 'data' are no list")
        while (following := self.peek()) != "]":
            if following == ",":
                self._position += 1
                continue
            yield self.value()
        self._position += 1

    def _more(self) -> bool:
        kept = self._buffer[self._position :]
        part = "" if self._at_end else self._text.read(max(_CHUNK, len(kept)))
        self._at_end = not part
        self._buffer, self._position = kept + part, 0
        return bool(part)
