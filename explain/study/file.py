"""Reads a study: its file, what that extends, and the studies that ship with the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from explain.study.references import check_references
from explain.study.schema import TABLES, StudyError, check_tables, check_whole
from featurestore.errors import UnknownNameError
from featurestore.files import read_toml

#: Values that are paths, which start from the folder of the file that names them.
_PATHS = {"sources": ("files", "targets", "property-registry"), "splits": ("files",)}
_PATHS |= {"report": ("folder", "published", "published-removals"), "encoders": ("from",)}


@dataclass(frozen=True)
class Study:
    """A study as its file says it, complete and checked.

    Parameters
    ----------
    name : str
        Stem of the file.
    path : Path
        The file.
    tables : mapping
        By table the entries, by their names the keys with their values; ``report`` has keys alone.
    title, description : str
    store : str or None
        Where its features and models go; None for the configured one.
    """

    name: str
    path: Path
    tables: Mapping[str, Mapping[str, Any]] = field(repr=False)
    title: str
    description: str = ""
    store: str | None = None

    def entries(self, table: str) -> Mapping[str, Mapping[str, Any]]:
        """The entries of a table, by name."""
        return self.tables.get(table, {})

    @property
    def folder(self) -> Path:
        """Where its page, figures and record go."""
        return Path(self.tables.get("report", {}).get("folder", self.name))


def shipped_studies() -> dict[str, Path]:
    """The studies of this package, by name."""
    folder = Path(str(resources.files("explain.study") / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_study(name: str | Path) -> Study:
    """The study of that file, or of that name if it ships with the package.

    Raises
    ------
    UnknownNameError
        If there is no such file and no such study, or a table, key or name in it is unknown.
    StudyError
        If a value cannot be used, studies extend each other in a circle, or entries need each
        other.
    InvalidInputError
        If the file cannot be read.
    """
    path = _place(str(name), Path())
    content = _complete(path, ())
    where = str(path)
    for table, spec in TABLES.items():
        if spec.named:
            for entry, keys in content.get(table, {}).items():
                check_whole(table, keys, f"{where}: [{table}.{entry}]")
    if not content.get("sources"):
        raise StudyError(f"{where} has no [sources.NAME]: say where its materials come from")
    tables = {table: content.get(table, {}) for table in TABLES}
    check_references(tables, where)
    return Study(
        name=path.stem,
        path=path,
        tables=tables,
        title=content.get("title", path.stem),
        description=content.get("description", ""),
        store=content.get("store"),
    )


def _place(name: str, folder: Path) -> Path:
    shipped = shipped_studies()
    path = folder / Path(name).expanduser()
    if path.suffix != ".toml" and not path.is_file():
        if name not in shipped:
            raise UnknownNameError(
                "study", name, shipped, "(and there is no file of that name; a file ends in .toml)"
            )
        return shipped[name]
    return path


def _complete(path: Path, before: Sequence[Path]) -> dict[str, Any]:
    """The content of a file over that of what it extends, with whole paths."""
    path = path.absolute()
    if path in before:
        circle = " -> ".join(str(one) for one in (*before[before.index(path) :], path))
        raise StudyError(f"studies extend each other in a circle: {circle}")
    content = read_toml(path)
    check_tables(content, str(path))
    content = _with_whole_paths(content, path.parent)
    if "extends" not in content:
        return content
    base = _complete(_place(content.pop("extends"), path.parent), (*before, path))
    return _merged(base, content)


def _with_whole_paths(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    for table, keys in _PATHS.items():
        entries = content.get(table, {})
        for entry in entries.values() if TABLES[table].named else [entries]:
            for key in keys:
                if key in entry:
                    entry[key] = _whole(entry[key], folder)
    if "store" in content:
        content["store"] = _whole(content["store"], folder)
    return content


def _whole(given: Any, folder: Path) -> Any:
    if isinstance(given, list):
        return [_whole(one, folder) for one in given]
    return given if "://" in given else str(folder / Path(given).expanduser())


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` over ``base``: tables key by key, anything else in the place of what it was.

    Of keys that exclude each other the new one stays.
    """
    merged = dict(base)
    for name, value in over.items():
        if name in TABLES and TABLES[name].named:
            entries = dict(merged.get(name, {}))
            for entry, keys in value.items():
                entries[entry] = _entry(name, entries.get(entry, {}), keys)
            merged[name] = entries
        elif isinstance(value, dict):
            merged[name] = {**merged.get(name, {}), **value}
        else:
            merged[name] = value
    return merged


def _entry(table: str, base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    one_of = TABLES[table].one_of
    replaced = set(one_of) if set(over) & set(one_of) else set()
    return {key: value for key, value in base.items() if key not in replaced} | dict(over)
