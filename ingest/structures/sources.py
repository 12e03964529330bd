"""From what a user names on the command line, a file, a folder or a glob, to material records."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from glob import glob
from itertools import groupby
from pathlib import Path

from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.machine.pool import Pool
from ingest.structures.archives import is_packed, members
from ingest.structures.files import Unit, read_unit
from ingest.structures.ids import IdRule
from ingest.structures.jarvis import is_jarvis_archive, read_jarvis
from ingest.structures.opening import shown, why_not_regular, without_compression
from ingest.structures.passed_over import back_up
from ingest.structures.readers.registry import readers_of_name
from ingest.structures.records import MaterialRecord, NotAStructure
from ingest.structures.refusals import LimitError

SECONDS_A_FILE = 120.0


@dataclass(frozen=True)
class SourceFile:
    """A file that a source stands for.

    Parameters
    ----------
    path : Path
    inside : str
        Its path from the folder that was named, or its name, as it is shown.
    irregular : str
        What it is if it is no regular file, in words.
    is_named : bool
        Whether the source is this file, and no folder or pattern.
    """

    path: Path
    inside: str
    irregular: str = ""
    is_named: bool = False


def expand_sources(sources: Iterable[str]) -> list[SourceFile]:
    """The files that the sources stand for: files as named, folders and globs sorted by name.

    Raises
    ------
    InvalidInputError
        If a source names nothing.
    """
    files: list[SourceFile] = []
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            found = [
                _file(entry, shown(entry.relative_to(path)))
                for entry in sorted(path.rglob("*"))
                if not _is_hidden(entry.relative_to(path))
                and (entry.is_symlink() or not entry.is_dir())
            ]
        elif path.exists() or path.is_symlink():
            found = [replace(_file(path, shown(path.name)), is_named=True)]
        else:
            found = _of_glob(str(path))
        if not found:
            raise InvalidInputError(f"there is no file or folder {source}, or it is empty")
        files += found
    return _told_apart(list({file.path.absolute(): file for file in files}.values()))


def _of_glob(pattern: str) -> list[SourceFile]:
    """The files of a pattern, by their paths from the folder that all of them are in."""
    paths = [Path(name).absolute() for name in sorted(glob(pattern, recursive=True))]
    paths = [path for path in paths if not path.is_dir()]
    if not paths:
        return []
    common = os.path.commonpath([path.parent for path in paths])
    return [_file(path, shown(path.relative_to(common))) for path in paths]


def _told_apart(files: list[SourceFile]) -> list[SourceFile]:
    """With one more folder of their paths where those of two sources are the same."""
    while True:
        times = Counter(file.inside for file in files)
        if len(times) == len(files):
            return files
        files = [
            replace(file, inside=_longer(file)) if times[file.inside] > 1 else file
            for file in files
        ]


def _longer(file: SourceFile) -> str:
    parts = file.path.absolute().parts
    return shown(Path(*parts[-(file.inside.count("/") + 2) :]))


def _file(path: Path, inside: str) -> SourceFile:
    try:
        return SourceFile(path, inside, why_not_regular(path))
    except OSError as error:
        return SourceFile(path, inside, f"a link to nothing ({error.strerror})")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def dataset_name(sources: Iterable[str]) -> str:
    """A name for the data set: that of the first source, without folders and file suffixes."""
    first = Path(next(iter(sources))).expanduser().resolve()
    name = first.name
    for suffix in (".zip", ".json", first.suffix):
        name = name.removesuffix(suffix)
    return shown(first.parent.name if "*" in name else name)


def read_sources(
    files: Sequence[SourceFile],
    rule: IdRule | None = None,
    nearest_order: bool = False,
    pool: Pool | None = None,
) -> Iterator[MaterialRecord]:
    """The materials of the files, in order; a file or block that cannot be read is a `Failure`.

    Parameters
    ----------
    files : sequence of SourceFile
        From `expand_sources`.
    rule : IdRule, optional
        How materials get their ids; by default from the stems of their files.
    nearest_order : bool
        Whether a disordered site takes its most abundant element instead of being refused.
    pool : Pool, optional
        Reads single files in processes, each within `SECONDS_A_FILE`; by default they are read
        here.

    Raises
    ------
    InvalidInputError
        If the only file is a JARVIS archive and damaged.
    """
    rule = rule or IdRule()
    streams = {file for file in files if _is_stream(file)}
    named = files if len(streams) < len(files) else ()  # archives alone need no reader
    ids = dict(zip(named, rule.ids([file.inside for file in named]), strict=True))
    for streamed, group in groupby(files, key=streams.__contains__):
        if streamed:
            for file in group:
                yield from _stream(file, alone=len(files) == 1)
        else:
            units = _units(list(group), ids, rule, nearest_order)
            yield from (_in_processes(units, pool) if pool else _here(units))


def _is_stream(file: SourceFile) -> bool:
    """Whether a file is a JARVIS archive, which is read record by record."""
    name = without_compression(file.path.name).lower()
    if file.irregular or not name.endswith((".json", ".zip")):
        return False
    try:
        return is_jarvis_archive(file.path)
    except (OSError, InvalidInputError):
        return name.endswith(".json.zip")  # damaged; else it is read, and refused, as one file


def _stream(file: SourceFile, alone: bool) -> Iterator[MaterialRecord]:
    """The records of an archive; damage to it is one more failure among those of other files.

    Raises
    ------
    InvalidInputError
        If it is damaged and the only source.
    """
    try:
        yield from (replace(record, source_file=file.inside) for record in read_jarvis(file.path))
    except InvalidInputError as error:
        if alone:
            raise
        yield MaterialRecord(file.inside, Failure.of(error), source_file=file.inside)


def _units(
    files: Iterable[SourceFile], ids: dict[SourceFile, str], rule: IdRule, nearest_order: bool
) -> Iterator[Unit]:
    for file in files:
        unit = Unit(
            source=file.inside,
            material_id=ids[file],
            path=file.path,
            by_formula=rule.way == "formula",
            nearest_order=nearest_order,
        )
        if file.irregular:
            yield replace(unit, refused=_irregular(file))
        elif not file.is_named and (passed := back_up(unit.name)):
            yield replace(unit, refused=passed)
        elif is_packed(file.path.name):
            yield from members(file.path, unit, rule)
        else:
            yield unit


def _irregular(file: SourceFile) -> Failure:
    named = readers_of_name(shown(file.path.name))
    if not named and not is_packed(file.path.name):
        return NotAStructure("NotAStructure", file.irregular)
    return Failure.of(LimitError(f"it is {file.irregular}"))


def _here(units: Iterable[Unit]) -> Iterator[MaterialRecord]:
    for unit in units:
        yield from read_unit(unit)


def _in_processes(units: Iterable[Unit], pool: Pool) -> Iterator[MaterialRecord]:
    """`read_unit` of each in the pool; records in the order of the units."""
    waiting: dict[int, Unit] = {}

    def numbered() -> Iterator[tuple[int, Unit]]:
        for number, unit in enumerate(units):
            # for its name, should its process die
            waiting[number] = replace(unit, data=None, beside=None)
            yield number, unit

    done: dict[int, list[MaterialRecord]] = {}
    following = 0
    for number, result in pool.run(read_unit, numbered(), SECONDS_A_FILE):
        unit = waiting.pop(number)
        if isinstance(result, Failure):
            result = read_unit(replace(unit, refused=_blamed(unit, result)))
        done[number] = result
        while following in done:
            yield from done.pop(following)
            following += 1


def _blamed(unit: Unit, failure: Failure) -> Failure:
    """What ended a reading process, with the reader of another package that was reading."""
    others = [one for one in readers_of_name(unit.name) if not one.ships]
    return replace(failure, message=f"{others[0]}: {failure.message}") if others else failure
