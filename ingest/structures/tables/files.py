"""The rows of a table's files: JSON of matminer's form, Parquet, Arrow, JSON lines."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import InvalidInputError
from featurestore.files import check_regular
from ingest.structures.opening import open_unpacked, shown, without_compression
from ingest.structures.readers.base import parse_json
from ingest.structures.refusals import LimitError, UnreadableFileError
from ingest.structures.tables.split_json import read_split_json

Row = tuple[Any, Mapping[str, Any]]

_ROWS_AT_ONCE = 64
_LONGEST_LINE = 64 << 20  # characters
_LARGEST_TABLE = 64 << 30  # bytes
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet", ".arrow")
# What datasets.save_to_disk and a repository of the hub write beside the rows.
_DESCRIPTIONS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}


def table_files(path: Path) -> list[Path]:
    """The files of a table: one, or those of a folder, by their names.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    if not path.is_dir():
        return [path]
    found = [
        one
        for one in sorted(path.rglob("*"))
        if without_compression(one.name).lower().endswith(_SUFFIXES)
        and one.name not in _DESCRIPTIONS
        and not any(part.startswith(".") for part in one.relative_to(path).parts)
        and not one.is_dir()
    ]
    if not found:
        raise InvalidInputError(
            f"{path} holds no table: no file with a suffix of {', '.join(_SUFFIXES)}"
        )
    return found


def read_rows(path: Path) -> Iterator[Row]:
    """What a row is called in its file, its number if nothing else, and its cells by their columns.

    Raises
    ------
    InvalidInputError
        If the file is none of these formats, or damaged.
    """
    check_regular(path, _LARGEST_TABLE)
    name = without_compression(path.name).lower()
    try:
        if name.endswith(".parquet"):
            yield from enumerate(_parquet(path))
        elif name.endswith(".arrow"):
            yield from enumerate(_arrow(path))
        elif name.endswith((".jsonl", ".ndjson")):
            yield from enumerate(_lines(path))
        elif name.endswith(".json"):
            with ExitStack() as stack:
                plain = stack.enter_context(open_unpacked(path))
                text = stack.enter_context(io.TextIOWrapper(plain, encoding="utf-8-sig"))
                yield from read_split_json(text, shown(path.name))
        else:
            raise InvalidInputError(
                f"{path} is no table of structures: use a file with a suffix of "
                f"{', '.join(_SUFFIXES)}, or a folder of them"
            )
    except InvalidInputError:
        raise
    except UnreadableFileError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    except LimitError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    # gzip, lzma and Arrow raise what they like on damage
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            yield from batch.to_pylist()


def _arrow(path: Path) -> Iterator[Mapping[str, Any]]:
    with pa.memory_map(str(path)) as source:
        try:
            batches: Any = iter(pa.ipc.open_stream(source))
        except pa.ArrowInvalid:
            source.seek(0)
            file = pa.ipc.open_file(source)
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
        for batch in batches:
            batch.validate(full=True)  # a stranger's offsets may point anywhere
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                yield from batch.slice(start, _ROWS_AT_ONCE).to_pylist()


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with ExitStack() as stack:
        plain = stack.enter_context(open_unpacked(path))
        text = stack.enter_context(io.TextIOWrapper(plain, encoding="utf-8-sig"))
        number = 0
        while line := text.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise LimitError(f"line {number} has more than {_LONGEST_LINE:,} characters")
            if not line.strip():
                continue
            row = parse_json(line)
            if not isinstance(row, dict):
                raise UnreadableFileError(f"line {number} is no object with a row's cells")
            yield row
