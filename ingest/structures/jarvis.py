"""Reads the published JARVIS archive, record by record in bounded memory.

The format is that of jarvis-tools' figshare data sets: a JSON list of records, each with an id
(``jid``), ``atoms`` as `jarvis.core.atoms.Atoms.to_dict` writes them, and targets, ``"na"`` where
one is missing; as ``.json`` or as its only member in a ``.json.zip``.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.messages import storable
from ingest.structures.opening import DAMAGED, open_regular, open_unpacked, why_damaged
from ingest.structures.records import MaterialRecord
from ingest.structures.refusals import InvalidStructureError, LimitError

_CHUNK = 1 << 20  # characters
_LONGEST_RECORD = 64 << 20  # characters; the largest JARVIS record has some 100,000
_HEAD = 1 << 16  # characters; the atoms of a first record begin in them
_LONGEST_ARCHIVE = 64 << 30  # bytes, unpacked; guards against a bomb
_ID_KEYS = ("jid", "id", "material_id")

_Read = TypeVar("_Read")


def is_jarvis_archive(path: Path) -> bool:
    """Whether a file is such a list, by its beginning, whatever its compression.

    Raises
    ------
    OSError, InvalidInputError
        If it cannot be opened or unpacked.
    """
    with ExitStack() as stack:
        head = _opened(path, lambda: _text(path, stack, check=False).read(_HEAD))
    head = head.lstrip()
    return head.startswith("[") and '"atoms"' in head and '"lattice_mat"' in head


def read_jarvis(path: Path) -> Iterator[MaterialRecord]:
    """The materials of an archive, in its order.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged or not of this format. Damage to a ``.zip`` is found before
        the first record; in a ``.json`` file the records before it have been given out by then.
    """
    for number, entry in enumerate(_entries(path)):
        material_id = next((entry[key] for key in _ID_KEYS if entry.get(key)), None)
        if material_id is None or "atoms" not in entry:
            if number == 0:
                raise InvalidInputError(
                    f"{path} is not a JARVIS archive: its first record has keys "
                    f"{sorted(entry)[:8]}, expected 'jid' and 'atoms'"
                )
            material_id = material_id or f"{path.name}[{number}]"
        targets = {
            key: value
            for key, value in entry.items()
            if key not in _ID_KEYS and key not in ("atoms", "formula")
        }
        written = storable(str(material_id))
        if written != str(material_id) or not _is_text("".join(targets)):
            lone = Failure("InvalidNameError", "its id or a field holds half of a surrogate pair")
            yield MaterialRecord(written, lone, source_file=path.name)
            continue
        yield MaterialRecord(written, _structure(entry.get("atoms")), targets, path.name)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _structure(atoms: Any) -> Crystal | Failure:
    try:
        return crystal_from_jarvis(atoms)
    except InvalidStructureError as error:
        return Failure.of(error)


def crystal_from_jarvis(atoms: Any) -> Crystal:
    """The structure in a JARVIS ``atoms`` dictionary; Cartesian coordinates (Å) are converted.

    Raises
    ------
    InvalidStructureError
        If a key is missing or holds something else than numbers and symbols.
    """
    try:
        lattice = np.array(atoms["lattice_mat"], dtype=np.float64)
        species = tuple(str(symbol).strip() for symbol in atoms["elements"])
        "".join(species).encode()  # a JSON escape can be half a character, which has no hash
        coords = np.array(atoms["coords"], dtype=np.float64).reshape(-1, 3)
        if atoms.get("cartesian"):
            coords = coords @ np.linalg.inv(lattice)
    except KeyError as error:
        raise InvalidStructureError(f"the atoms lack {error}") from error
    except (TypeError, ValueError, OverflowError, AttributeError, np.linalg.LinAlgError) as error:
        raise InvalidStructureError(f"the atoms cannot be read: {error}") from error
    return Crystal(lattice, species, coords)


def _entries(path: Path) -> Iterator[Mapping[str, Any]]:
    with ExitStack() as stack:
        records = _records(_opened(path, lambda: _text(path, stack)), path)
        while True:
            entry = _opened(path, lambda: next(records, None))
            if entry is None:
                return
            yield entry


def _opened(path: Path, read: Callable[[], _Read]) -> _Read:
    """What is read, with whatever is wrong about the file in words."""
    try:
        return read()
    except FileNotFoundError as error:
        raise InvalidInputError(f"there is no file {path}") from error
    except (zipfile.BadZipFile, *DAMAGED) as error:
        raise InvalidInputError(
            f"{path} is damaged or was not downloaded to its end ({why_damaged(error)}); "
            "fetch it again"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not UTF-8 text: {error}") from error
    # zipfile raises RuntimeError on an encrypted or otherwise foreign member, the JSON decoder
    # on deep nesting, and ValueError on a number of thousands of digits.
    except (OSError, RuntimeError, ValueError, LimitError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error


def _text(path: Path, stack: ExitStack, check: bool = True) -> IO[str]:
    if not path.name.lower().endswith(".zip"):
        plain = stack.enter_context(open_unpacked(path))
        return stack.enter_context(io.TextIOWrapper(plain, encoding="utf-8-sig"))
    archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(open_regular(path))))
    members = [info for info in archive.infolist() if info.filename.lower().endswith(".json")]
    if len(members) != 1:
        raise InvalidInputError(
            f"{path} holds {len(members)} .json files, a JARVIS archive holds one"
        )
    if check:
        _check_member(archive, members[0], path)
    raw = stack.enter_context(archive.open(members[0]))
    return stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8-sig"))


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Unpack the one member that is read: wrong numbers would be in the store at its checksum."""
    size = member.file_size  # as stated; what is unpacked may be more
    if size <= _LONGEST_ARCHIVE:
        size = _unpacked_size(archive, member)
    if size > _LONGEST_ARCHIVE:
        raise InvalidInputError(f"{path} would unpack to more than {_LONGEST_ARCHIVE:,} bytes")


def _unpacked_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    size = 0
    with archive.open(member) as file:
        while part := file.read(_CHUNK):
            size += len(part)
            if size > _LONGEST_ARCHIVE:
                break
    return size


def _records(text: IO[str], path: Path) -> Iterator[Mapping[str, Any]]:
    """The elements of the top-level JSON list, decoded one at a time."""
    decoder = json.JSONDecoder()
    buffer = text.read(_CHUNK).lstrip()
    if not buffer.startswith("["):
        raise InvalidInputError(f"{path} is not a JARVIS archive: it holds no JSON list")
    position, count, at_end = 1, 0, False
    while True:
        while position < len(buffer) and buffer[position] in " \t\r\n,":
            position += 1
        if position < len(buffer) and buffer[position] == "]":
            if not count:
                raise InvalidInputError(f"{path} holds an empty list: there is no material in it")
            if (buffer[position + 1 :] + text.read(_CHUNK)).strip():
                raise InvalidInputError(f"{path} goes on after the end of its list")
            return
        try:
            entry, position = decoder.raw_decode(buffer, position)
        except json.JSONDecodeError as error:
            if at_end or len(buffer) - position > _LONGEST_RECORD:
                raise InvalidInputError(
                    f"{path} ends or breaks inside record {count}: {error.msg}; it may have been "
                    "cut off, fetch it again"
                ) from error
            more = text.read(max(_CHUNK, len(buffer) - position))
            at_end = not more
            buffer, position = buffer[position:] + more, 0
            continue
        if not isinstance(entry, dict):
            raise InvalidInputError(
                f"{path} is not a JARVIS archive: record {count} is no JSON object"
            )
        yield entry
        count += 1
