"""Pulling named weights: fetch, compare with the checksums, then move into the cache at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import InvalidInputError, StorageError
from ingest.weights.cache import cached_folder, file_sha256, find_weights, verify, write_record
from ingest.weights.registry import Weights, named_weights
from ingest.weights.sources import copy_from, fetch


@dataclass(frozen=True)
class Pulled:
    """What a pull found or did.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    new : bool
        False if they were there already; they were compared with their checksums all the same.
    sha256 : dict of str to str
        By file name.
    unpinned : tuple of str
        Files whose checksum the registry does not know, and which are therefore trusted as they
        came.
    """

    folder: Path
    new: bool
    sha256: dict[str, str]
    unpinned: tuple[str, ...]


def pull(
    name: str, local: Path | None = None, report: Callable[[str], None] = lambda line: None
) -> Pulled:
    """Put the weights of that name into the cache, unless they are there.

    The files are gathered beside the cache, checked, and moved in by one rename, so that an
    interrupted pull leaves no half of them; what was whole when it stopped is kept for the next
    attempt. After a wrong checksum nothing is kept.

    Parameters
    ----------
    name : str
        A name of the registry, or OWNER/NAME of a Hugging Face repository.
    local : Path, optional
        A folder to copy the files from instead of their source.
    report : callable
        Called with a line to show before something slow.

    Raises
    ------
    UnknownNameError
        If there are no such weights.
    DownloadError
        If something cannot be fetched.
    InvalidInputError
        If a checksum is wrong or a file is missing.
    StorageError
        If the cache cannot be written.
    """
    weights = named_weights(name)
    folder = cached_folder(name)
    unpinned = tuple(file for file, sha256 in weights.files.items() if sha256 is None)
    if find_weights(name):
        return Pulled(folder, False, verify(name), unpinned)
    root = folder.parent
    pieces = root / ".pieces" / folder.name
    origin = str(local.resolve() if local else weights.source)
    try:
        pieces.mkdir(parents=True, exist_ok=True)
        report(f"fetching {name} from {origin}")
        found = _gathered(weights, local, origin, pieces, folder)
        shutil.rmtree(pieces)
    except OSError as error:
        raise StorageError(
            f"{name} cannot be put into the cache {root}: {error}; make room or get the right to "
            "write there, or name another folder with FEATURESTORE_CACHE"
        ) from error
    return Pulled(folder, True, found, unpinned or tuple(f for f in found if not weights.files))


def _gathered(
    weights: Weights, local: Path | None, origin: str, pieces: Path, folder: Path
) -> dict[str, str]:
    """The files, checked and moved into their folder at once; their SHA-256 by name."""
    name = weights.name
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
        into = Path(temporary) / folder.name
        into.mkdir()
        try:
            if local:
                copy_from(local, weights.source, tuple(weights.files), into)
            else:
                fetch(weights.source, tuple(weights.files), pieces, into)
            found = {path.name: file_sha256(path) for path in sorted(into.iterdir())}
            for file, expected in weights.files.items():
                if expected and found[file] != expected:
                    raise InvalidInputError(
                        f"{name}: {file} from {origin} has SHA-256 {found[file]}, expected "
                        f"{expected}; nothing was kept"
                    )
        except InvalidInputError:
            shutil.rmtree(pieces)
            raise
        write_record(into, name, origin, found)
        shutil.rmtree(folder, ignore_errors=True)
        into.rename(folder)
    return found
