"""From what a user names on the command line, a file, a folder or a glob, to material records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from featurestore.errors import InvalidInputError
from ingest.structures.files import read_structure_file
from ingest.structures.jarvis import is_jarvis_archive, read_jarvis
from ingest.structures.records import MaterialRecord


def expand_sources(sources: Iterable[str]) -> list[Path]:
    """The files that the sources stand for: files as named, folders and globs sorted by name.

    Raises
    ------
    InvalidInputError
        If a source names nothing.
    """
    paths: list[Path] = []
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            found = sorted(
                entry
                for entry in path.rglob("*")
                if entry.is_file() and not _is_hidden(entry.relative_to(path))
            )
        elif path.exists():
            found = [path]
        else:
            found = [Path(name) for name in sorted(glob(str(path), recursive=True))]
        if not found:
            raise InvalidInputError(f"there is no file or folder {source}, or it is empty")
        paths += found
    return paths


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def dataset_name(sources: Iterable[str]) -> str:
    """A name for the data set: that of the first source, without folders and file suffixes."""
    first = Path(next(iter(sources))).expanduser().resolve()
    name = first.name
    for suffix in (".zip", ".json", first.suffix):
        name = name.removesuffix(suffix)
    return first.parent.name if "*" in name else name


def read_sources(paths: Iterable[Path]) -> Iterator[MaterialRecord]:
    """The materials of the files, in order.

    Raises
    ------
    InvalidInputError
        If an archive is damaged; a single structure file that cannot be read is a record with a
        `Failure` instead.
    """
    for path in paths:
        if path.name.endswith((".json", ".json.zip", ".zip")) and _is_archive(path):
            yield from read_jarvis(path)
        else:
            yield from read_structure_file(path)


def _is_archive(path: Path) -> bool:
    try:
        return is_jarvis_archive(path)
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error
