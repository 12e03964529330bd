"""Copies a store, with its history and snapshots, to another folder or bucket; again, only news.

Lance writes each file once, under a name that is never used again, and a version is there when its
manifest is. So a copy is the files that the versions of one moment need, what they read first,
manifests last; a file whose name is there already is whole. A note in the target makes it no store
until the copy is complete and has been compared with the source.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.errors import ConflictError, InvalidInputError, StorageError
from featurestore.machine.host import host_facts, is_gone, is_this_machine
from featurestore.store import FeatureStore
from featurestore.tables.order import reading_order
from featurestore.tables.soundness import object_or_empty
from featurestore.tables.storage import UNFINISHED, Storage, storage_errors
from featurestore.tables.tables import Tables

_ROWS_A_READ = 4096
_TAGS = "_refs/tags"


@dataclass(frozen=True)
class Backup:
    """What a backup has done.

    Parameters
    ----------
    tables : int
        Tables in the copy.
    rows : int
        Rows in the newest version of all of them.
    files_copied, files_present : int
        Files that were copied, and that were there from an earlier time.
    bytes_copied : int
        Size of the files copied.
    """

    tables: int
    rows: int
    files_copied: int
    files_present: int
    bytes_copied: int


class _Files:
    """The files below a place, on disk or in an object store."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @cached_property
    def _session(self) -> Any:
        from lance.file import LanceFileSession  # Lance's own client, so one set of credentials

        if self.storage.is_local:
            Path(self.storage.uri).mkdir(parents=True, exist_ok=True)
        return LanceFileSession(self.storage.uri, storage_options=self.storage.lance_options)

    def below(self, prefix: str) -> set[str]:
        """Paths of the files below a folder; none where it does not exist."""
        try:
            return set(self._session.list(prefix))
        except OSError as error:
            if "not found" in str(error).lower():
                return set()
            raise

    def at_root(self) -> set[str]:
        """Names of the files and folders at the root."""
        found = self._session.list_with_delimiter()
        return {path.rstrip("/") for path in (*found.common_prefixes, *found.objects)}

    @contextmanager
    def as_local(self, path: str) -> Iterator[Path]:
        """A local file with the content of the one at ``path``."""
        if self.storage.is_local:
            yield Path(self.storage.uri, path)
            return
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "file")
            self._session.download_file(path, local)
            yield local

    def put(self, local: Path, path: str) -> None:
        """Put a local file at ``path``; it is there whole or not at all."""
        self._session.upload_file(local, path)

    def put_text(self, text: str, path: str) -> None:
        """Put a text at ``path``."""
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "file")
            local.write_text(text, "utf-8")
            self.put(local, path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._session.delete_file(path)


def back_up(store: FeatureStore, target: str | Path) -> Backup:
    """Copy the store as it is now to ``target``; what is there from an earlier time is kept.

    After an interruption the same call goes on; until then the target cannot be opened.

    Parameters
    ----------
    store : FeatureStore
        It is only read; writers may go on.
    target : str or Path
        A new folder or ``s3://bucket/prefix``, or an earlier backup of the same store.

    Raises
    ------
    InvalidInputError
        If the target is the store itself, or inside it.
    ConflictError
        If the target holds another store, or has been written to since the last backup.
    StorageError
        If either storage refuses, or the copy is not equal to the source.
    """
    source = Storage.at(store.uri)
    place = Storage.at(target)
    _check_apart(source, place)
    place.check()
    with _access(place):
        with store.session() as session:
            names = reading_order(session.versions)
            datasets: dict[str, Any] = {name: session.dataset(name) for name in names}
        files = _Files(place)
        unfinished = UNFINISHED in files.at_root()
        there = Tables(place)
        if unfinished:
            _check_nobody_at_work(files)
        _check_same_store(datasets, there, files, unfinished)
        token = secrets.token_hex(8)
        note = {
            "source": source.uri,
            "started_at": datetime.now(UTC).isoformat(),
            "token": token,
            "pid": os.getpid(),
            "host": host_facts(),
        }
        files.put_text(json.dumps(note), UNFINISHED)
        origin = _Files(source)
        counts = {"copied": 0, "present": 0, "bytes": 0}
        changed = [
            name
            for name in reversed(list(datasets))
            if _copy_table(name, datasets[name], origin, files, counts) or unfinished
        ]
        for name in changed:
            _check_equal(name, datasets[name], there.dataset(name))
        if _note(files).get("token") != token:
            raise ConflictError(
                f"another backup into {place.uri} has begun since; it cannot be opened before that "
                "one has ended, or the same command has run again"
            )
        files.remove(UNFINISHED)
    rows = sum(dataset.count_rows() for dataset in datasets.values())
    return Backup(
        tables=len(datasets),
        rows=rows,
        files_copied=counts["copied"],
        files_present=counts["present"],
        bytes_copied=counts["bytes"],
    )


def _copy_table(
    name: str, dataset: Any, origin: _Files, files: _Files, counts: dict[str, int]
) -> bool:
    """Copy the files of a table's versions up to this one, then its tags; whether any was new."""
    root = f"{name}.lance"
    tracked = dataset.tracked_files().read_all()
    needed = tracked.filter(pa.compute.less_equal(tracked["version"], dataset.version))
    manifests = pa.compute.equal(needed["type"].cast(pa.string()), "manifest")
    present = files.below(root)
    before = counts["copied"]
    others = sorted(set(needed.filter(pa.compute.invert(manifests))["path"].to_pylist()))
    # Only the last manifest makes the older ones' files readable in order: oldest first.
    ordered = needed.filter(manifests).sort_by("version")["path"].to_pylist()
    for path in (f"{root}/{relative}" for relative in [*others, *ordered]):
        if path in present:
            counts["present"] += 1
            continue
        with origin.as_local(path) as local:
            counts["bytes"] += local.stat().st_size
            files.put(local, path)
        counts["copied"] += 1
    tags = {path for path in origin.below(f"{root}/{_TAGS}") if path.endswith(".json")}
    for path in sorted(tags):
        with origin.as_local(path) as local:
            if json.loads(local.read_text("utf-8"))["version"] <= dataset.version:
                files.put(local, path)
    for path in files.below(f"{root}/{_TAGS}") - tags:
        files.remove(path)
    return counts["copied"] > before


def _note(files: _Files) -> dict[str, Any]:
    """What the backup at work says of itself; nothing where the note is gone or unreadable."""
    if UNFINISHED not in files.at_root():
        return {}
    with files.as_local(UNFINISHED) as local:
        return object_or_empty(local.read_text("utf-8", "replace"))


def _check_nobody_at_work(files: _Files) -> None:
    """Raise if the process that left the note is known to be at work still.

    Raises
    ------
    ConflictError
        Naming it.
    """
    note = _note(files)
    pid, host = note.get("pid"), note.get("host")
    if not isinstance(pid, int) or not isinstance(host, dict) or pid == os.getpid():
        return
    if is_this_machine(host) and not is_gone(pid, host):
        raise ConflictError(
            f"a backup into {files.storage.uri} is under way in process {pid}; wait for its end, "
            "or name another place"
        )


def _check_apart(source: Storage, place: Storage) -> None:
    ends = [
        f"{Path(storage.uri).resolve() if storage.is_local else storage.uri}/"
        for storage in (source, place)
    ]
    if ends[0].startswith(ends[1]) or ends[1].startswith(ends[0]):
        raise InvalidInputError(
            f"{place.uri} is the store itself or lies within it; name another place for its backup"
        )


def _check_same_store(
    datasets: dict[str, Any], there: Tables, files: _Files, unfinished: bool
) -> None:
    """Raise unless the target is new, or holds an earlier state of this store and nothing else."""
    names = {entry.removesuffix(".lance") for entry in files.at_root() if entry.endswith(".lance")}
    for name in sorted(names):
        copy = there.dataset(name)
        if copy is None:
            continue
        source = datasets.get(name)
        if source is None or copy.version > source.version or not _shared(source, copy):
            raise ConflictError(
                f"{there.uri} does not hold an earlier state of this store: table {name!r} there "
                "is another's, or has been written to; name another place for the backup"
            )
    if not names and not unfinished and files.at_root():
        raise ConflictError(f"{there.uri} holds other files; name another place for the backup")


def _shared(source: Any, copy: Any) -> bool:
    """Whether the copy's newest version is one of the source's, or too old for it to still have."""
    if not any(entry["version"] == copy.version for entry in source.version_refs()):
        return True
    return bool(
        source.read_transaction(copy.version).uuid == copy.read_transaction(copy.version).uuid
    )


def _check_equal(name: str, source: Any, copy: Any | None) -> None:
    """Raise unless the copy reads as the source does: version, rows, and every byte of them."""
    if copy is None or copy.version != source.version:
        raise StorageError(f"the copy of table {name!r} has another version than the source")
    expected = table_digest(source)
    try:
        found = table_digest(copy)
    except (OSError, RuntimeError, ValueError) as error:
        found = str(error)
    if found != expected:
        raise StorageError(
            f"the copy of table {name!r} is not equal to the source ({found}): a file of it is "
            "damaged; remove the copy and run the backup again"
        )


def table_digest(dataset: Any) -> str:
    """The SHA-256 of a table's schema and rows, read in batches, in the order they are stored."""
    digest = hashlib.sha256(str(dataset.schema).encode())
    large = [name for name in dataset.schema.names if name == "weights"]
    small = [name for name in dataset.schema.names if name != "weights"]
    for columns, size in ((small, _ROWS_A_READ), (large, 1)):
        if columns:
            for batch in dataset.to_batches(columns=columns, batch_size=size):
                digest.update(batch.serialize())
    return digest.hexdigest()


def _access(place: Storage) -> AbstractContextManager[None]:
    # A file of the source that maintenance has removed is among what Lance refuses.
    return storage_errors(
        f"back up to {place.uri}", "What was copied stays; run the same command again to go on"
    )
