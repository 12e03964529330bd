"""Whether the stored rows that others are read by are what they should be; what is not, by key.

A store may be damaged, or a stranger's. A row that cannot be used is left out where it is read and
named; it never keeps the others from being read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from featurestore.tables.schema_version import declared_schema
from featurestore.tables.schemas import STRUCTURE_EMBEDDINGS, TABLES, TEXT_EMBEDDINGS

#: Widest vector that an encoder may have.
WIDEST = 1_000_000
_LONGEST_JSON = 256 * 2**20
_LONGEST_ID = 200
_DEEPEST = 64
_ID = re.compile(r"[a-z0-9_]+")

Row = Mapping[str, Any]


class _UnsoundError(Exception):
    """Says what is wrong with a row."""


def parsed_object(text: object) -> dict[str, Any]:
    """A stored JSON object.

    Raises
    ------
    ValueError
        If it is something else, nests deeper than 64, or is absurdly long.
    """
    if not isinstance(text, str):
        raise ValueError("is null")
    if len(text) > _LONGEST_JSON:
        raise ValueError("is too long to be read")
    try:
        value = json.loads(text, parse_constant=_refused)
    except RecursionError:
        raise ValueError("nests too deep") from None
    except ValueError:
        raise ValueError("is no JSON") from None
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    if text.count("{") + text.count("[") > _DEEPEST and _depth(value) > _DEEPEST:
        raise ValueError("nests too deep")
    return value


def _refused(constant: str) -> Any:
    """JSON has no NaN and no infinity."""
    raise ValueError(constant)


def object_or_empty(text: object) -> dict[str, Any]:
    """A stored JSON object; an empty one in place of what is none, which `verify` names."""
    try:
        return parsed_object(text)
    except ValueError:
        return {}


def problem_of(table: str, row: Row) -> str | None:
    """What is wrong with a row of a table that `CHECKED_COLUMNS` lists; None for a sound one."""
    try:
        _JUDGES[table](row)
    except _UnsoundError as problem:
        return str(problem)
    return None


def form_problem(dataset: Any, table: str) -> str | None:
    """Why a Lance dataset cannot be read as a table of the design; None where it can.

    Columns that lack are no problem: they read as nulls.
    """
    expected = declared_schema(dataset, table)
    if expected is None:
        is_vectors = table.startswith((STRUCTURE_EMBEDDINGS, TEXT_EMBEDDINGS))
        return "it has no column vector of a fixed width" if is_vectors else None
    types = {field.name: field.type for field in dataset.schema}  # made anew at each look
    for field in expected.schema:
        kind = types.get(field.name)
        if kind is None:
            if field.name in expected.key:
                return f"it has no column {field.name}"
        elif not kind.equals(field.type):
            return f"column {field.name} is {kind}, not {field.type}"
    return None


def unsound_rows(table: str, dataset: Any) -> list[tuple[dict[str, Any], str]]:
    """Key and problem of each row of a Lance dataset that is not sound; columns may lack."""
    wanted = CHECKED_COLUMNS[table]
    has = set(dataset.schema.names)
    there = [name for name in wanted if name in has]
    rows: pa.Table = dataset.to_table(columns=there)
    key = TABLES[table].key
    found = []
    for row in rows.to_pylist():
        problem = problem_of(table, dict.fromkeys(wanted) | row)
        if problem is not None:
            found.append(({name: row.get(name) for name in key}, problem))
    return found


def _depth(value: Any) -> int:
    deepest, left = 0, [(value, 1)]
    while left:
        item, depth = left.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, depth)
            parts = item.values() if isinstance(item, dict) else item
            left += [(part, depth + 1) for part in parts]
    return deepest


def _json(row: Row, column: str) -> dict[str, Any]:
    try:
        return parsed_object(row[column])
    except ValueError as problem:
        raise _UnsoundError(f"{column} {problem}") from None


def _text(row: Row, *columns: str) -> None:
    for column in columns:
        if not isinstance(row[column], str) or not row[column]:
            raise _UnsoundError(f"{column} is empty")


def _one_of(row: Row, column: str, *allowed: str) -> None:
    if row[column] not in allowed:
        raise _UnsoundError(f"{column} is {row[column]!r:.60}, none of {', '.join(allowed)}")


def _encoder(row: Row) -> None:
    _text(row, "encoder_id", "name")
    if not _ID.fullmatch(row["encoder_id"]) or len(row["encoder_id"]) > _LONGEST_ID:
        raise _UnsoundError("encoder_id has other characters than a-z, 0-9 and _, or too many")
    _one_of(row, "kind", "structure", "text")
    dimension = row["dimension"]
    if not isinstance(dimension, int) or not 1 <= dimension <= WIDEST:
        raise _UnsoundError(f"dimension is {dimension}, not from 1 to {WIDEST:,}")
    for part in row["segments"] or []:
        if part is None or None in part.values() or not 0 <= part["start"] < part["stop"]:
            raise _UnsoundError("segments are no slices of the vector")
        if part["stop"] > dimension:
            raise _UnsoundError("segments reach beyond the vector")
    if row["segments"] is None:
        raise _UnsoundError("segments are null")
    _json(row, "fingerprint")


def _generator(row: Row) -> None:
    _text(row, "generator_id", "source")
    if not _ID.fullmatch(row["generator_id"]) or len(row["generator_id"]) > _LONGEST_ID:
        raise _UnsoundError("generator_id has other characters than a-z, 0-9 and _, or too many")
    for column in ("tags", "reference_tags"):
        if row[column] is None or None in row[column]:
            raise _UnsoundError(f"{column} hold nulls")
    _json(row, "fingerprint")


def _model(row: Row) -> None:
    _text(row, "model_id", "predictor", "property", "features", "variant")
    _json(row, "settings")
    problem = view_problem(_json(row, "view_parameters"))
    if problem is not None:
        raise _UnsoundError(f"view_parameters have {problem}")
    if row["inputs"] is not None and not _are_features(row["inputs"]):
        raise _UnsoundError("inputs are no features")
    for name in ("feature_set", "view_where"):
        if row[name] == "":
            raise _UnsoundError(f"{name} is empty")
    metrics = _json(row, "metrics")
    if not isinstance(metrics.get("epochs"), int):
        raise _UnsoundError("metrics have no epochs")
    folds = metrics.get("folds")
    if not isinstance(folds, dict) or not all(_is_measured(fold) for fold in folds.values()):
        raise _UnsoundError("metrics have no folds")
    if "test" not in folds:
        raise _UnsoundError("metrics have no test fold")


_PARAMETERS = ("property", "property_source", "unit", "features", "variant")
_IDS = ("structure_encoder", "text_encoder", "generator_id")
# Those that came later may lack.
_OPTIONAL = ("inputs", "feature_set", "where", "where_sources", "where_classes")


def view_problem(parameters: Mapping[str, Any]) -> str | None:
    """What is wrong with the stored parameters of a training view; None for sound ones.

    Their names and types are looked at, and what goes into SQL as it is: ids. Conditions and
    expressions are looked at when the view is made.
    """
    fields = {*_PARAMETERS, *_IDS, "split"}
    lacking = sorted(fields - parameters.keys())
    unknown = sorted(parameters.keys() - fields - {*_OPTIONAL})
    if lacking or unknown:
        return f"no {lacking[0]}" if lacking else f"an unknown field {unknown[0]!r:.60}"
    for name in (*_PARAMETERS, *_IDS, "split", "feature_set", "where"):
        value = parameters.get(name)
        if not (isinstance(value, str) or (value is None and name not in _PARAMETERS)):
            return f"a {name} that is no text"
    for name in _IDS:
        if parameters[name] is not None and not _ID.fullmatch(parameters[name]):
            return f"a {name} that is no id"
    if not _are_features(parameters.get("inputs", [])):
        return "inputs that are no features"
    sources = parameters.get("where_sources", [])
    if not isinstance(sources, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
        for pair in sources
    ):
        return "where_sources that are no pairs of texts"
    classes = parameters.get("where_classes", [])
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        return "where_classes that are no texts"
    return None


# A resolved feature as `featurestore.views.features` writes it.
_FEATURE = re.compile(
    r"sql:\S(.*\S)?|property:[^@]+@(.*\S)"
    r"|(?!sql:|property:)[a-z0-9_]+(\.[^:]*[^:\s])?(:[a-z0-9_]+(:.*\S)?)?",
    re.DOTALL,
)


def _are_features(values: object) -> bool:
    """Whether a value is a list of features, none twice: numbers are columns of these names."""
    return (
        isinstance(values, list)
        and all(isinstance(one, str) and _FEATURE.fullmatch(one) for one in values)
        and len(set(values)) == len(values)
    )


def _feature_set(row: Row) -> None:
    _text(row, "name", "fingerprint")
    if not isinstance(row["version"], int) or row["version"] < 1:
        raise _UnsoundError(f"version is {row['version']}, not from 1")
    if not row["features"] or not _are_features(row["features"]):
        raise _UnsoundError("features are none")
    if not row["written"] or None in row["written"]:
        raise _UnsoundError("written hold nulls, or are none")
    for column in ("description", "created_at"):
        if row[column] is None:
            raise _UnsoundError(f"{column} is null")


def _is_measured(fold: object) -> bool:
    """A fold without materials has no error."""
    return (
        isinstance(fold, dict)
        and isinstance(fold.get("n"), int)
        and any(
            name in fold and isinstance(fold[name], int | float | None) for name in ("mae", "brier")
        )
    )


def _run(row: Row) -> None:
    _text(row, "run_id", "command")
    _one_of(row, "status", "running", "finished", "failed", "interrupted", "killed")
    for column in ("arguments", "versions"):
        _json(row, column)
    for column in ("counts", "host", "tables"):
        if row[column] is not None:
            _json(row, column)


def _snapshot(row: Row) -> None:
    _text(row, "name", "run_id")
    if row["created_at"] is None:
        raise _UnsoundError("created_at is null")
    for entry in row["versions"] or []:
        if entry is None or None in entry.values() or entry["version"] < 1 or entry["rows"] < 0:
            raise _UnsoundError("versions are none")
    if row["versions"] is None:
        raise _UnsoundError("versions are null")


def _property_rule(row: Row) -> None:
    _text(row, "property", "rule", "run_id")
    _one_of(row, "way", "unite", "prefer", "separate")
    if not isinstance(row["version"], int) or row["version"] < 1:
        raise _UnsoundError(f"version is {row['version']}, not from 1")
    sources = row["sources"] or []
    if not all(isinstance(one, str) and one for one in sources) or len(set(sources)) < len(sources):
        raise _UnsoundError("sources hold nulls, or one twice")
    if not sources and row["way"] != "separate":
        raise _UnsoundError("sources are none")
    if not isinstance(row["tolerance"], float) or not 0 <= row["tolerance"] < float("inf"):
        raise _UnsoundError(f"tolerance is {row['tolerance']}")


def _split_version(row: Row) -> None:
    _text(row, "split", "property", "run_id")
    if not isinstance(row["version"], int) or row["version"] < 1:
        raise _UnsoundError(f"version is {row['version']}, not from 1")
    rule = _json(row, "rule")
    way = rule.get("way")
    if way not in ("given", "random", "sampled", "folds", "left out", "whole"):
        raise _UnsoundError("rule has no way")
    if way in ("random", "folds") and not isinstance(rule.get("seed"), int):
        raise _UnsoundError("rule has no seed")
    if not isinstance(rule.get("parts", ""), str) or not isinstance(rule.get("group_by", ""), str):
        raise _UnsoundError("parts or group_by of its rule are no text")
    if way == "random" and "parts" not in rule:
        raise _UnsoundError("rule has no parts")
    if way in ("folds", "left out", "whole") and not isinstance(rule.get("of"), str):
        raise _UnsoundError("rule is of no name for several splits")
    if way == "left out" and not isinstance(rule.get("held"), str):
        raise _UnsoundError("rule does not say what is left out")
    if way == "folds" and not (
        isinstance(rule.get("folds"), int)
        and isinstance(rule.get("fold"), int)
        and 0 <= rule["fold"] < rule["folds"]
    ):
        raise _UnsoundError("rule is of no fold of a cross-validation")


def _standing(row: Row) -> None:
    _text(row, "id")
    _one_of(row, "standing", "promoted", "retired", "in use")


_JUDGES: dict[str, Callable[[Row], None]] = {
    "encoders": _encoder,
    "generators": _generator,
    "feature_sets": _feature_set,
    "models": _model,
    "property_rules": _property_rule,
    "runs": _run,
    "snapshots": _snapshot,
    "split_versions": _split_version,
    "standings": _standing,
}
#: The columns of each table that are judged.
CHECKED_COLUMNS: dict[str, tuple[str, ...]] = {
    "encoders": ("encoder_id", "name", "kind", "dimension", "segments", "fingerprint"),
    "generators": ("generator_id", "source", "tags", "reference_tags", "fingerprint"),
    "models": (
        *("model_id", "predictor", "property", "features", "variant"),
        *("settings", "view_parameters", "metrics", "inputs", "feature_set", "view_where"),
    ),
    "feature_sets": (
        *("name", "version", "features", "written", "description", "fingerprint", "created_at"),
    ),
    "property_rules": (*("property", "version", "way", "sources", "tolerance", "rule", "run_id"),),
    "runs": ("run_id", "command", "status", "arguments", "versions", "counts", "host", "tables"),
    "snapshots": ("name", "run_id", "created_at", "versions"),
    "split_versions": ("split", "property", "version", "rule", "run_id"),
    "standings": ("id", "standing"),
}
#: Tables whose unsound rows a session leaves out from the start: names are resolved by them.
RESOLVED_BY = (
    *("encoders", "generators", "feature_sets", "models", "property_rules", "split_versions"),
    "standings",
)
