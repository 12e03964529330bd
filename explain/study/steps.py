"""A study as steps, in the order in which they are made, each with a fingerprint of its entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

from explain.study.file import Study
from explain.study.references import in_order, needs
from explain.study.schema import TABLES, StudyError
from featurestore.identity import fingerprint

REPORT = "report"
#: Keys that say how fast something is made, or what it is called, and not what it is.
_HARMLESS = ("jobs", "title", "time-limit", "pull")
_FILES = ("files", "targets", "property-registry", "published", "published-removals")


@dataclass(frozen=True)
class Step:
    """One entry of a study that is made.

    Parameters
    ----------
    table, entry : str
        ``[TABLE.ENTRY]`` of the file.
    said : mapping
        Its keys, as the file says them.
    needs : tuple of str
        Names of the steps that come before.
    keys : mapping
        What its result depends on: its keys, and the hashes of the files that they name.
    """

    table: str
    entry: str
    said: Mapping[str, Any]
    needs: tuple[str, ...]
    keys: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """As the file has it, without brackets."""
        return f"{self.table}.{self.entry}" if self.entry else self.table


def study_steps(study: Study) -> list[Step]:
    """The steps of a study; the last one is its page.

    Raises
    ------
    StudyError
        If a file that an entry names cannot be read.
    """
    ordered = in_order(study.tables, str(study.path))
    steps = []
    for table, entry in ordered:
        said = study.entries(table)[entry]
        steps.append(
            Step(
                table=table,
                entry=entry,
                said=said,
                needs=tuple(f"{kind}.{name}" for kind, name in needs(study.tables, table, entry)),
                keys=_keys(said, f"{study.path}: [{table}.{entry}]"),
            )
        )
    of_report = {**study.tables["report"], "title": study.title, "of": study.description}
    titles = {
        f"{table}.{entry}": said["title"]
        for table, entries in study.tables.items()
        if TABLES[table].named
        for entry, said in entries.items()
        if "title" in said
    }
    keys = _keys(of_report, f"{study.path}: [report]") | {"title": study.title, "titles": titles}
    # It says which study it is of.
    keys["study"] = study_fingerprint(steps)
    told = tuple(step.name for step in steps)
    return [*steps, Step(REPORT, "", of_report, told, keys)]


def study_fingerprint(steps: list[Step]) -> str:
    """What stands for the whole study: every entry, and every byte of the files that they name."""
    return fingerprint({"steps": {step.name: dict(step.keys) for step in steps}})


def _keys(said: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = {
        name: value
        for name, value in said.items()
        if name not in _HARMLESS and name not in ("folder", "from") and value is not None
    }
    for name in _FILES:
        if name in found:
            paths = found[name] if isinstance(found[name], list) else [found[name]]
            hashes = [_hash(path, f"{where} {name}") for path in paths]
            found[name] = [
                {"name": Path(path).name, "sha256": sha256}
                for path, sha256 in zip(paths, hashes, strict=True)
            ]
    return found


def _hash(path: str, where: str) -> str | None:
    """The hash of a file; None of a folder or pattern, whose files their reading looks at."""
    place = Path(path)
    if not place.is_file():
        if place.exists() or any(letter in path for letter in "*?[") or "://" in path:
            return None
        raise StudyError(f"{where}: there is no {path}")
    try:
        with place.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StudyError(f"{where}: cannot read {path}: {error}") from error
