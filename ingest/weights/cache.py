"""The cache folder of pulled weights, with a record of each file's SHA-256 beside the files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.files import read_json
from featurestore.machine.cache import cache_folder
from ingest.weights.registry import is_hub_id, named_weights, registry

RECORD = "weights.json"


def weights_root() -> Path:
    """The folder ``weights`` in the user's cache; see `cache_folder`."""
    return cache_folder("weights")


def cached_folder(name: str) -> Path:
    """Where the weights of that name lie once they are pulled."""
    return weights_root() / name.replace("/", "--")


def find_weights(name: str) -> Path | None:
    """The folder of pulled weights; None if they are not pulled."""
    folder = cached_folder(name)
    return folder if (folder / RECORD).is_file() else None


def weights_folder(name_or_path: str | Path) -> Path:
    """The folder of pulled weights, or a folder of the user's own.

    A registered name wins over a folder of that name in the working directory: write ``./NAME``
    for the folder.

    Raises
    ------
    MissingDataError
        If the name is known but not pulled; the message names the command that pulls it.
    UnknownNameError
        If it is neither a known name nor a folder.
    """
    name = str(name_or_path)
    if isinstance(name_or_path, str):
        if found := find_weights(name):
            return found
        if name in registry():
            raise MissingDataError(
                f"the weights {name!r} are not here yet: run `featurestore models pull {name}`"
            )
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path
    if is_hub_id(name) and isinstance(name_or_path, str):
        raise MissingDataError(
            f"{name!r} is neither a folder nor pulled: if it is a Hugging Face repository, "
            f"run `featurestore models pull {name}`"
        )
    raise UnknownNameError("weights", name, registry(), "(there is no folder of that name either)")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_record(folder: Path, name: str, source: str, files: Mapping[str, str]) -> None:
    """Write what was pulled from where, with the SHA-256 of each file."""
    record = {"name": name, "source": source, "files": dict(sorted(files.items()))}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def verify(name: str) -> dict[str, str]:
    """Compare pulled files with the registry, or else with the record of their first pull.

    Returns the SHA-256 of each file by its name.

    Raises
    ------
    InvalidInputError
        If a file is missing or has changed.
    """
    folder = cached_folder(name)
    try:
        recorded = dict(read_json(folder / RECORD)["files"])
    except (InvalidInputError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{folder / RECORD}: {error}; {_again(name)}") from error
    pinned = {file: sha256 for file, sha256 in named_weights(name).files.items() if sha256}
    for file, expected in {**recorded, **pinned}.items():
        path = folder / file
        if not path.is_file():
            raise InvalidInputError(f"{path} is missing; {_again(name)}")
        if (found := file_sha256(path)) != expected:
            raise InvalidInputError(
                f"{path} has changed: SHA-256 is {found}, expected {expected}; {_again(name)}"
            )
    return dict(recorded)


def _again(name: str) -> str:
    return f"remove the folder and run `featurestore models pull {name}`"
