"""What the entries of a study need of each other: names that exist, and no circle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explain.study.schema import TABLES, StudyError
from featurestore.errors import FeatureStoreError, UnknownNameError

Tables = Mapping[str, Mapping[str, Any]]


def check_references(tables: Tables, where: str) -> None:
    """Raise unless all names are of entries, entries can be put in an order, and parts exist.

    Raises
    ------
    UnknownNameError, StudyError
        Naming the table and the key.
    """
    for table, spec in TABLES.items():
        for key, target in (spec.refers or {}).items():
            for entry, keys in tables[table].items():
                for name in _names(keys.get(key)):
                    if name not in tables[target.rstrip("?")] and not target.endswith("?"):
                        raise UnknownNameError(
                            f"entry of [{target}] in {where}: [{table}.{entry}] {key}",
                            name,
                            tables[target],
                        )
    in_order(tables, where)
    for entry, keys in tables["features"].items():
        _check_features(tables, entry, keys, f"{where}: [features.{entry}]")
    _check_parts(tables, where)
    for entry, keys in tables["explanations"].items():
        _check_explanation(tables, keys, f"{where}: [explanations.{entry}]")


def needs(tables: Tables, table: str, entry: str) -> list[tuple[str, str]]:
    """The entries that an entry needs, as (table, name)."""
    keys = tables[table][entry]
    found = [
        (target.rstrip("?"), name)
        for key, target in (TABLES[table].refers or {}).items()
        for name in _names(keys.get(key))
        if name in tables[target.rstrip("?")]
    ]
    for feature in keys.get("inputs", ()):
        encoder, _, rest = feature.partition(":")
        if encoder.partition(".")[0] in tables["encoders"]:
            found.append(("encoders", encoder.partition(".")[0]))
            source = rest.partition(":")[0]
            found += [("texts", source)] if source in tables["texts"] else []
    if table in ("splits", "texts", "encoders"):
        found += [("sources", name) for name in tables["sources"]]
    return list(dict.fromkeys(found))


def in_order(tables: Tables, where: str) -> list[tuple[str, str]]:
    """Every entry that is made, after all that it needs; as in the file otherwise.

    Raises
    ------
    StudyError
        If entries need each other in a circle, which is named.
    """
    ordered: dict[tuple[str, str], None] = {}

    def place(one: tuple[str, str], before: tuple[tuple[str, str], ...]) -> None:
        if one in before:
            circle = (*before[before.index(one) :], one)
            raise StudyError(
                f"{where}: entries need each other in a circle: "
                + " -> ".join(f"[{table}.{name}]" for table, name in circle)
            )
        if one in ordered:
            return
        for needed in needs(tables, *one):
            place(needed, (*before, one))
        ordered[one] = None

    for table, spec in TABLES.items():
        if spec.named:
            for entry in tables[table]:
                place((table, entry), ())
    return list(ordered)


def _names(given: Any) -> list[str]:
    return given if isinstance(given, list) else [] if given is None else [given]


def _check_features(tables: Tables, entry: str, keys: Mapping[str, Any], where: str) -> None:
    forms = [form for form in ("inputs", "join") if form in keys]
    short = [key for key in ("structure", "text", "encoder") if key in keys]
    if len(forms) + bool(short) != 1:
        raise StudyError(
            f"{where} takes structure, or text and encoder, or all three; or inputs; or join"
        )
    if ("text" in keys) != ("encoder" in keys):
        raise StudyError(f"{where} needs text and encoder together: whose vectors of which text")
    for key, kind in (("structure", False), ("encoder", True)):
        if key in keys and bool(tables["encoders"][keys[key]].get("texts")) != kind:
            reads = "no texts" if kind else "texts"
            raise StudyError(f"{where} {key}: [encoders.{keys[key]}] encodes {reads}")
    if "text" in keys and keys["text"] not in tables["encoders"][keys["encoder"]]["texts"]:
        raise StudyError(
            f"{where} encoder: [encoders.{keys['encoder']}] has no {keys['text']!r} in its texts"
        )


def _check_parts(tables: Tables, where: str) -> None:
    """Predictors and text sources must be there, with these settings."""
    from ingest.text.registry import text_part
    from train.predictors.registry import make_recipe, predictor_part

    for entry, keys in tables["predictors"].items():
        name = keys.get("predictor", entry)
        try:
            part = predictor_part(name)
            make_recipe(name, dict(keys.get("settings", {})), classes=not part.numbers)
        except FeatureStoreError as error:
            raise StudyError(f"{where}: [predictors.{entry}]: {error}") from error
    for entry, keys in tables["texts"].items():
        try:
            text_part(keys.get("source", entry))
        except FeatureStoreError as error:
            raise StudyError(f"{where}: [texts.{entry}]: {error}") from error


def _check_explanation(tables: Tables, keys: Mapping[str, Any], where: str) -> None:
    training = tables["training"][keys["training"]]
    for key, among in (("features", "features"), ("properties", "properties")):
        for name in keys.get(key, ()):
            if name not in training[among]:
                raise StudyError(
                    f"{where} {key}: {name!r} is none of [training.{keys['training']}] {among}"
                )
    if "predictor" in keys and keys["predictor"] not in training["predictors"]:
        raise StudyError(
            f"{where} predictor: {keys['predictor']!r} is none of "
            f"[training.{keys['training']}] predictors"
        )
