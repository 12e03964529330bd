"""What a study file may say: its tables, their keys, and what each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.errors import InvalidInputError, UnknownNameError


class StudyError(InvalidInputError):
    """A study cannot be what its file says; the table and the key are named."""


def _text(given: Any) -> bool:
    return isinstance(given, str) and bool(given.strip())


def _texts(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(map(_text, given))


def _flag(given: Any) -> bool:
    return isinstance(given, bool)


def _number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _whole(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= 0


def _some(given: Any) -> bool:
    return _whole(given) and given >= 1


def _seeds(given: Any) -> bool:
    return _some(given) or (isinstance(given, list) and bool(given) and all(map(_whole, given)))


def _settings(given: Any) -> bool:
    return isinstance(given, dict) and not any(isinstance(one, dict) for one in given.values())


def _lacking(given: Any) -> bool:
    return given in ("error", "note")


def _method(given: Any) -> bool:
    return given in METHODS


METHODS = ("tags", "segments", "words", "groups", "parity")

_CHECKS: dict[Callable[[Any], bool], str] = {
    _text: "a text",
    _texts: "a list of texts",
    _flag: "true or false",
    _number: "a number",
    _whole: "a whole number from 0",
    _some: "a whole number from 1",
    _seeds: "how many seeds, or a list of them",
    _settings: "a table of settings",
    _lacking: '"error" or "note"',
    _method: "one of " + ", ".join(METHODS),
}

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Table:
    """A table of a study file.

    Parameters
    ----------
    keys : mapping of str to callable
        What each key takes.
    required : tuple of str
        Keys that cannot be left out.
    one_of : tuple of str
        Of these keys exactly one is given.
    refers : mapping of str to str
        For a key the tables whose entries it names, ``TABLE`` or ``TABLE?`` where a name that is
        no entry may be one of the store's.
    named : bool
        Whether it holds tables by the user's own names, as ``[texts.NAME]``.
    """

    keys: Mapping[str, Check]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    refers: Mapping[str, str] | None = None
    named: bool = True


_SELECTION: dict[str, Check] = {"where": _text, "properties": _texts}

TABLES = {
    "sources": Table(
        keys={
            "sample": _flag,
            "jarvis": _text,
            "files": _texts,
            "targets": _texts,
            "property-registry": _texts,
            "dataset": _text,
            "id-from": _text,
        },
        one_of=("sample", "jarvis", "files"),
    ),
    "splits": Table(
        keys={
            "random": _text,
            "files": _texts,
            "sample": _text,
            "at-most": _text,
            "where": _text,
            "group-by": _text,
            "seed": _whole,
            "properties": _texts,
            "lacking": _lacking,
        },
        one_of=("random", "files", "sample"),
        refers={"sample": "splits?"},
    ),
    "texts": Table(
        keys={"source": _text, "settings": _settings, "time-limit": _number, **_SELECTION}
    ),
    "encoders": Table(
        keys={
            "weights": _text,
            "pull": _flag,
            "from": _text,
            "texts": _texts,
            "variants": _texts,
            "settings": _settings,
            **_SELECTION,
        },
        refers={"texts": "texts"},
    ),
    "features": Table(
        keys={
            "structure": _text,
            "text": _text,
            "encoder": _text,
            "inputs": _texts,
            "join": _texts,
        },
        refers={
            "structure": "encoders",
            "text": "texts",
            "encoder": "encoders",
            "join": "features",
        },
    ),
    "predictors": Table(keys={"predictor": _text, "settings": _settings}),
    "training": Table(
        keys={
            "title": _text,
            "properties": _texts,
            "split": _text,
            "features": _texts,
            "predictors": _texts,
            "seeds": _seeds,
            "reference": _text,
            "where": _text,
            "jobs": _some,
            "lacking": _lacking,
        },
        required=("properties", "split", "features", "predictors"),
        refers={
            "split": "splits?",
            "features": "features",
            "predictors": "predictors",
            "reference": "features",
        },
    ),
    "explanations": Table(
        keys={
            "title": _text,
            "method": _method,
            "training": _text,
            "features": _texts,
            "predictor": _text,
            "properties": _texts,
            "controls": _whole,
            "sets": _flag,
            "retrain": _flag,
            "by": _text,
            "at-least": _some,
            "materials": _some,
        },
        required=("method", "training"),
        refers={"training": "training", "features": "features", "predictor": "predictors"},
    ),
    "report": Table(
        keys={"folder": _text, "published": _text, "published-removals": _text}, named=False
    ),
}

#: Keys above all tables.
TOP: dict[str, Check] = {
    "title": _text,
    "description": _text,
    "extends": _text,
    "store": _text,
}


def check_tables(content: Mapping[str, Any], where: str) -> None:
    """Raise unless every table and key is known and takes what it is given.

    Raises
    ------
    StudyError
        If a key has a value that it does not take, or one is missing or too many.
    UnknownNameError
        If a table or key is unknown; it is named with the nearest known one.
    """
    for name, given in content.items():
        if name in TOP:
            _check(TOP[name], given, f"{where}: {name}")
        elif name not in TABLES:
            raise UnknownNameError(f"table or key of {where}", name, [*TOP, *TABLES])
        elif not isinstance(given, dict):
            raise StudyError(f"{where}: {name} is a table: write [{name}] and its keys below")
        elif not TABLES[name].named:
            check_table(name, given, f"{where}: [{name}]")
        else:
            for key, table in given.items():
                full = f"{where}: [{name}.{key}]"
                if not isinstance(table, dict):
                    raise StudyError(
                        f"{where}: [{name}] has tables by names of your own, as [{name}.{key}], "
                        f"and {key} is none"
                    )
                check_table(name, table, full)


def check_table(name: str, given: Mapping[str, Any], where: str) -> None:
    """Raise as `check_tables` for the keys of one table."""
    table = TABLES[name]
    for key, value in given.items():
        if key not in table.keys:
            raise UnknownNameError(f"key of {where}", key, table.keys)
        _check(table.keys[key], value, f"{where} {key}")


def check_whole(name: str, given: Mapping[str, Any], where: str) -> None:
    """Raise unless a table has the keys that it needs, after what it extends is taken in.

    Raises
    ------
    StudyError
        If one is missing, or several are given of which one excludes the others.
    """
    table = TABLES[name]
    for key in table.required:
        if key not in given:
            raise StudyError(f"{where} needs {key}")
    found = [key for key in table.one_of if given.get(key) not in (None, False)]
    if table.one_of and len(found) != 1:
        what = f"has {' and '.join(found)}" if found else "has none of them"
        raise StudyError(f"{where} takes one of {', '.join(table.one_of)}; it {what}")


def _check(check: Check, given: Any, where: str) -> None:
    if not check(given):
        raise StudyError(f"{where} takes {_CHECKS[check]}, not {given!r}")
