"""The keys of ``featurestore.toml``, each with its environment variable and its default."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError


@dataclass(frozen=True)
class Key:
    """One thing that can be set.

    Parameters
    ----------
    name : str
        As in the file; a dot stands between a table and its key.
    what : str
        What it decides, in a line.
    variable : str
        The environment variable that wins over the file.
    read : callable
        From what stands in the file, or the text of the variable, and the folder that relative
        paths start from, to the value; raises ValueError with what is wanted in its place.
    default : str
        What holds where it is not set, in words or as the value.
    parameter : str or None
        The parameter of commands for which it is the default.
    """

    name: str
    what: str
    variable: str
    read: Callable[[Any, Path], Any]
    default: str
    parameter: str | None = None


def _text(given: Any, folder: Path) -> str:
    if not isinstance(given, str) or not given:
        raise ValueError("a text that is not empty")
    return given


def _path(given: Any, folder: Path) -> str:
    return str(folder / Path(_text(given, folder)).expanduser())


def _place(given: Any, folder: Path) -> str:
    """A store: an address stays, a path starts from the file's folder."""
    text = _text(given, folder)
    return text if "://" in text else _path(text, folder)


def _paths(given: Any, folder: Path) -> list[str]:
    if isinstance(given, str):
        given = given.split(os.pathsep) if given else []
    if not isinstance(given, list) or not all(isinstance(one, str) and one for one in given):
        raise ValueError("a path, or a list of paths")
    return [_path(one, folder) for one in given]


def _count(given: Any, folder: Path) -> int:
    try:
        number = int(given) if isinstance(given, str) else given
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError("a whole number from 1")
    return number


def _recorded(given: Any, folder: Path) -> str:
    if given not in ("full", "relative"):
        raise ValueError('"full" or "relative"')
    return str(given)


KEYS = {
    key.name: key
    for key in (
        Key(
            "store",
            "Folder of the feature store, or s3://bucket/prefix",
            "FEATURESTORE_URI",
            _place,
            "materials-store",
            "store_uri",
        ),
        Key(
            "workers",
            "Processes that describe or compare structures",
            "FEATURESTORE_WORKERS",
            _count,
            "one a processor",
            "workers",
        ),
        Key(
            "property-registry",
            "TOML files with further properties, their units and ranges",
            "FEATURESTORE_PROPERTY_REGISTRY",
            _paths,
            "the built-in properties alone",
            "registries",
        ),
        Key(
            "cache",
            "Folder of pulled weights and downloaded archives",
            "FEATURESTORE_CACHE",
            _path,
            "featurestore in the user's cache folder",
        ),
        Key(
            "record-paths",
            "Whether runs record source files with all folders, or those below what they share",
            "FEATURESTORE_RECORD_PATHS",
            _recorded,
            "full",
        ),
        Key(
            "log-file",
            "File to which messages are added, with their time",
            "FEATURESTORE_LOG_FILE",
            _path,
            "none",
        ),
        Key(
            "encoders.structure",
            "Structure encoder of features that include the structure and name none",
            "FEATURESTORE_STRUCTURE_ENCODER",
            _text,
            "the only one in the store",
        ),
        Key(
            "encoders.text",
            "Text encoder of features that include the text and name none",
            "FEATURESTORE_TEXT_ENCODER",
            _text,
            "the only one in the store",
        ),
        Key(
            "encoders.source",
            "Text source of features that include the text and name none",
            "FEATURESTORE_TEXT_SOURCE",
            _text,
            "the only one in the store",
        ),
    )
}

#: The table whose keys are the user's own: words that stand for the beginning of a command.
ALIASES = "aliases"


def check_alias(name: str, given: Any, where: str) -> str:
    """The words that an alias stands for.

    Raises
    ------
    InvalidInputError
        If the name is no word, or it stands for nothing.
    """
    if name.startswith("-") or not name or any(letter.isspace() for letter in name):
        raise InvalidInputError(f"{where}: the alias {name!r} is no word that could be typed")
    if not isinstance(given, str) or not given.strip():
        raise InvalidInputError(
            f"{where}: the alias {name!r} needs the beginning of a command, as "
            '"train ensemble --split paper"'
        )
    return given
