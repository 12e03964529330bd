"""Reads files of the user's or a stranger's: regular ones only, of a limited size and depth."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError

#: A FIFO without a writer does not block, and Windows turns no line end into another.
OPENING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
#: Bytes of a settings file: configurations, registries, records.
SETTINGS_SIZE = 16 * 2**20
#: Bytes of a file of rows: targets, folds, tokenizers.
ROWS_SIZE = 2 * 2**30


def read_regular(path: Path, most: int = SETTINGS_SIZE) -> bytes:
    """What a regular file holds; a FIFO or a device would block, or never end.

    Raises
    ------
    InvalidInputError
        If it cannot be read, is no regular file, or has more than ``most`` bytes.
    """
    try:
        # A FIFO without a writer would block even in being opened.
        descriptor = os.open(path, os.O_RDONLY | OPENING)
        with open(descriptor, "rb") as file:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidInputError(f"{path} is no regular file")
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError for a zero byte in the name
        raise InvalidInputError(f"cannot read {path}: {error}") from error
    if len(content) > most:
        raise InvalidInputError(f"{path} has more than {most / 2**20:,.0f} MiB")
    return content


def check_regular(path: Path, most: int = ROWS_SIZE) -> None:
    """Raise as `read_regular` does, for a file that a library will read."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInputError(f"{path} is no regular file")
    if status.st_size > most:
        raise InvalidInputError(f"{path} has more than {most / 2**20:,.0f} MiB")


def read_json(
    path: Path,
    most: int = SETTINGS_SIZE,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The content of a JSON file; ``pairs`` is `json.loads`' ``object_pairs_hook``.

    Raises
    ------
    InvalidInputError
        As `read_regular`, or if it is no JSON in UTF-8, or nests too deep.
    """
    content = read_regular(path, most)
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=pairs)
    except RecursionError:
        raise InvalidInputError(f"{path} nests too deep to be read") from None
    except ValueError as error:
        raise InvalidInputError(f"{path} is not JSON: {error}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; raises as `read_json` does."""
    content = read_regular(path)
    try:
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError:
        raise InvalidInputError(f"{path} nests too deep to be read") from None
    except ValueError as error:  # also for a number of thousands of digits
        raise InvalidInputError(f"{path} is not TOML: {error}") from error
