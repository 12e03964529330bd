"""Which of the registered readers reads a file: by its name, else by its content.

The longest suffix that fits wins, then the longest beginning of the name: ``.lab.cif`` goes before
``.cif``. Where two readers are left, neither reads the file. Content is asked for where the name
says nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from featurestore.errors import FeatureStoreError
from featurestore.failure import Failure
from featurestore.plugins import SOURCES, load_part, part_names, registered
from ingest.structures.opening import without_compression
from ingest.structures.readers.base import Found
from ingest.structures.readers.in_words import in_words
from ingest.structures.readers.source_part import SourcePart
from ingest.structures.refusals import (
    ReaderConflictError,
    ReaderError,
    UnreadableFileError,
)

_OURS = "materials-featurestore"

# What a name that begins like a format's may end with and still be something else: POSCAR.log.
_OTHER = (
    *(".log", ".out", ".txt", ".md", ".py", ".sh", ".yaml", ".yml", ".toml", ".csv", ".tsv"),
    *(".png", ".pdf", ".svg", ".html", ".ipynb", ".lock", ".swp", ".npy", ".npz", ".h5", ".dat"),
)


@dataclass(frozen=True)
class StructureReader:
    """A reader and the package that has it.

    Parameters
    ----------
    part : SourcePart
    package : str
        Name, version and entry point.
    ships : bool
        Whether it is of this package: failures of others are said to be theirs.
    """

    part: SourcePart
    package: str
    ships: bool

    def __str__(self) -> str:
        return f"the structure reader {self.part.name!r} of {self.package}"

    def recognises(self, head: str) -> bool:
        """Whether the beginning of a file is of its format.

        Raises
        ------
        Exception
            Whatever a stranger's function raises.
        """
        return self.part.recognises is not None and bool(self.part.recognises(head))

    def found(self, name: str, data: bytes, nearest_order: bool = False) -> list[Found]:
        """What is in a file; whatever is wrong with it or with the reader is one `Failure`."""
        try:
            _check_packages(self.part, tuple(sys.path))
            return self.part.found(name, data, nearest_order)
        except FeatureStoreError as error:
            failure = Failure.of(error)
        except MemoryError:
            failure = Failure("MemoryError", "reading it needs more memory than a process may take")
        # A stranger's reader, and the libraries, raise anything.
        except (Exception, SystemExit) as error:
            # what the class is helps who writes a reader, and nobody else
            said = in_words(error) if self.ships else _reason(error)
            failure = Failure.of(UnreadableFileError(f"it breaks the rules of its format: {said}"))
        if not self.ships:
            failure = Failure(failure.error, f"{self}: {failure.message}")
        return [Found(failure)]


@dataclass(frozen=True)
class Readers:
    """All readers that installed packages register.

    Parameters
    ----------
    usable : tuple of StructureReader
    broken : tuple of str
        Why others cannot be used, each naming its package.
    """

    usable: tuple[StructureReader, ...]
    broken: tuple[str, ...]


def readers() -> Readers:
    """The readers, their modules imported once; one that cannot be used leaves the others."""
    return _readers(tuple(sys.path))


@cache
def _readers(path: tuple[str, ...]) -> Readers:
    """`path` is where packages were looked for."""
    usable, broken = [], []
    for name in part_names(SOURCES):
        try:
            part, entry = load_part(SOURCES, name, SourcePart), registered(SOURCES, name)
        except FeatureStoreError as error:
            broken.append(str(error))
        else:
            usable.append(StructureReader(part, str(entry), entry.package == _OURS))
    return Readers(tuple(usable), tuple(broken))


@cache
def _check_packages(part: SourcePart, path: tuple[str, ...]) -> None:
    """Once, not for each file: finding a package's version takes as long as reading a POSCAR."""
    part.versions()


def readers_of_name(name: str) -> list[StructureReader]:
    """The readers that a file's name tells, whatever its case and compression.

    None if it says nothing; several where which is meant cannot be known.
    """
    plain = without_compression(name).lower()
    usable = readers().usable
    by_suffix = _closest(
        [(one, suffix) for one in usable for suffix in one.part.suffixes if plain.endswith(suffix)]
    )
    if by_suffix or plain.endswith(_OTHER):
        return by_suffix
    return _closest(
        [
            (one, start)
            for one in usable
            for start in one.part.names
            if plain.startswith(start) and not plain[len(start) : len(start) + 1].isalpha()
        ]
    )


def name_may_tell(name: str) -> bool:
    """Whether a file's name has a suffix that some format has, if others have it as well."""
    suffixes = {suffix for one in readers().usable for suffix in one.part.shared_suffixes}
    return without_compression(name).lower().endswith(tuple(suffixes))


def _closest(matches: Sequence[tuple[StructureReader, str]]) -> list[StructureReader]:
    longest = max((len(pattern) for _, pattern in matches), default=0)
    return [one for one, pattern in matches if len(pattern) == longest]


def reader_of(name: str, head: Callable[[], str]) -> StructureReader | None:
    """The reader of a file; None if it is of no format for structures.

    Parameters
    ----------
    name : str
        Of the file.
    head : callable
        Gives its beginning, unpacked; called if the name says nothing.

    Raises
    ------
    ReaderConflictError
        If two packages claim it.
    ReaderError
        If no reader claims it and one that might is broken: nobody knows that it is no structure.
    InvalidStructureError
        As ``head`` raises.
    """
    named = readers_of_name(name)
    if named:
        return _only(named)
    text = head()
    claiming, failing = [], list(readers().broken)
    for one in readers().usable:
        try:
            if one.recognises(text):
                claiming.append(one)
        except (Exception, SystemExit) as error:  # a stranger's function raises anything
            failing.append(f"{one} fails to look at it: {_reason(error)}")
    if claiming:
        return _only(claiming)
    if failing:
        raise ReaderError(
            f"no reader that can be used recognises it; not asked: {'; '.join(failing)}"
        )
    return None


def stem_of(name: str) -> str:
    """A file's name without the suffixes that say its format or compression."""
    return _suffix_of(readers().usable).sub("", without_compression(name), count=1)


@cache
def _suffix_of(usable: tuple[StructureReader, ...]) -> re.Pattern[str]:
    """A suffix of a format, the longest that fits, behind at least one character."""
    suffixes = {
        re.escape(suffix)
        for one in usable
        for suffix in (*one.part.suffixes, *one.part.shared_suffixes)
    }
    return re.compile(rf"(?<=.)(?:{'|'.join(sorted(suffixes))})\Z", re.IGNORECASE | re.DOTALL)


def _only(claiming: Sequence[StructureReader]) -> StructureReader:
    if len(claiming) > 1:
        raise ReaderConflictError(
            f"it is claimed by {' and by '.join(map(str, claiming))}: which is right cannot be "
            "known; uninstall one of the packages, or give the file a suffix of one of them alone"
        )
    return claiming[0]


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
