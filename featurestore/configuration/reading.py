"""Finds ``featurestore.toml``, reads it, and says of each value where it came from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featurestore.configuration.keys import ALIASES, KEYS, Key, check_alias
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.files import read_toml

NAME = "featurestore.toml"
VARIABLE = "FEATURESTORE_CONFIG"


@dataclass(frozen=True)
class Value:
    """What is set.

    Parameters
    ----------
    value : Any
        As its `Key` reads it.
    origin : str
        Where it came from: ``environment FEATURESTORE_URI``, or the path of the file.
    """

    value: Any
    origin: str


@dataclass(frozen=True)
class Configuration:
    """What file and environment set; options of commands win over it.

    Parameters
    ----------
    path : Path or None
        The file that was read.
    values : mapping of str to Value
        By the name of the key; what is not set is not there.
    aliases : mapping of str to str
        Words that stand for the beginning of a command.
    """

    path: Path | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The value of a key; None where it is not set."""
        KEYS[name]
        found = self.values.get(name)
        return None if found is None else found.value


def read_configuration(
    folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Configuration:
    """The configuration that holds in a folder.

    The file is the one that ``FEATURESTORE_CONFIG`` names (empty: none), else ``featurestore.toml``
    in the folder or the nearest above it that has one. Environment variables win over it.

    Parameters
    ----------
    folder : Path, optional
        By default the working folder.
    environment : mapping, optional
        By default the process's.

    Raises
    ------
    UnknownNameError
        If a key is unknown; the file, the key and the nearest known one are named.
    InvalidInputError
        If the file cannot be read or belongs to another user, or a value is none that its key
        takes.
    """
    folder = Path.cwd() if folder is None else folder
    environment = os.environ if environment is None else environment
    path = _found(folder, environment)
    values: dict[str, Value] = {}
    aliases: dict[str, str] = {}
    if path is not None:
        try:
            content = read_toml(path)
        except InvalidInputError as error:
            raise InvalidInputError(f"configuration: {error}") from error
        for name, given in _flat(content, path):
            if name.startswith(f"{ALIASES}."):
                short = name.partition(".")[2]
                aliases[short] = check_alias(short, given, str(path))
            else:
                read = _read(KEYS[name], given, path.parent, f"{path}: {name}")
                values[name] = Value(read, str(path))
    for key in KEYS.values():
        if given := environment.get(key.variable):
            read = _read(key, given, Path(), f"environment: {key.variable}")
            values[key.name] = Value(read, f"environment {key.variable}")
    return Configuration(path, values, aliases)


def _found(folder: Path, environment: Mapping[str, str]) -> Path | None:
    named = environment.get(VARIABLE)
    if named is not None:
        return Path(named).expanduser() if named else None
    folder = folder.absolute()
    for place in (folder, *folder.parents):
        path = place / NAME
        if path.is_file():
            _check_owner(path)
            return path
    return None


def _check_owner(path: Path) -> None:
    """Raise if a file was put there by somebody else, who could have commands write elsewhere."""
    if not hasattr(os, "getuid"):
        return
    owner = path.stat().st_uid
    if owner not in (os.getuid(), 0):
        raise InvalidInputError(
            f"{path} belongs to another user: set {VARIABLE}={path} to use it all the same, or "
            f"{VARIABLE}= to use none"
        )


def _flat(content: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    """Names and values, those in tables as ``TABLE.KEY``."""
    tables = {name.partition(".")[0] for name in KEYS if "." in name} | {ALIASES}
    top = [name for name in KEYS if "." not in name] + [f"[{name}]" for name in sorted(tables)]
    for name, given in content.items():
        if name not in tables:
            if name not in KEYS:
                raise UnknownNameError(f"key of {path}", name, top)
            yield name, given
            continue
        if not isinstance(given, dict):
            raise InvalidInputError(f"{path}: {name} is a table: write [{name}] and its keys below")
        for key, value in given.items():
            full = f"{name}.{key}"
            if name != ALIASES and full not in KEYS:
                known = [one.partition(".")[2] for one in KEYS if one.startswith(f"{name}.")]
                raise UnknownNameError(f"key of [{name}] in {path}", key, known)
            yield full, value


def _read(key: Key, given: Any, folder: Path, where: str) -> Any:
    try:
        return key.read(given, folder)
    except ValueError as error:
        raise InvalidInputError(f"{where} needs {error}, not {given!r}") from error
