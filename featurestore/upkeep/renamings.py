"""What bears the name of a material, data set, property, source or split, and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from featurestore.catalogue import stored_properties, structure_of
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.feature_sets import FeatureSet, feature_sets
from featurestore.identity import canonical_json, fingerprint
from featurestore.property_rules import is_rule, property_rules, rule_text
from featurestore.quoting import SQL, identifier, literal, quoted
from featurestore.registry import load_registry
from featurestore.renames import (
    DATASET,
    MATERIAL,
    PROPERTY,
    SOURCE,
    SPLIT,
    Renamed,
    renamed_hint,
    renames,
)
from featurestore.session import Session
from featurestore.session_tables import MATERIAL_COLUMNS
from featurestore.splits import families
from featurestore.tables.schemas import TABLES
from featurestore.tables.soundness import parsed_object
from featurestore.upkeep.removal import counted, shown_names
from featurestore.upkeep.renaming import Change, Renaming
from featurestore.views.parameters import ViewParameters
from featurestore.views.renamed import feature_after, parameters_now

_PROPERTY_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)

#: Why some things keep their names, and what to do instead.
REFUSED = {
    "encoder": "an encoder's id is a hash of its name and all that can change a vector, and is in "
    "the fingerprint of every view of it; let its name stand for another version with: "
    "featurestore encoders promote, or encode again with an encoder of the new name",
    "generator": "a generator's id is a hash of its text source and all that can change a "
    "character, and is in the fingerprint of every view of its texts; let its text source stand "
    "for another version with: featurestore encoders promote",
    "model": "a model's id says its property and features and holds a hash of its view, and "
    "predictions, explanations and figures name it; choose it by its id, or promote it with: "
    "featurestore models promote",
    "features": "views and models name a version of a feature set; give its list another name "
    "beside the old one with: featurestore features define",
}


def of_property(session: Session, old: str, new: str) -> Renaming:
    """The renaming of a property: its values, its splits and the rules of its sources.

    Feature sets that name it get a further version. Models keep saying the old name.

    Raises
    ------
    UnknownNameError
        If there is no such property.
    InvalidInputError
        If the new name is in use, could not be used in SQL beside the columns of ``materials``, or
        is registered in another unit.
    """
    begun = _begun(session, PROPERTY, old, new)
    if not begun:
        units = {row["unit"] for row in stored_properties(session, old)}
        _check_property_name(session, old, new, units)
    one = _of_now(PROPERTY, old, new)
    this = SQL(f"property = {quoted(old)}")
    values = {"property": quoted(new)}
    models = _models(session, lambda p: parameters_now(p, [one]) != p, begun)
    stays = (*_models_stay(models), *_sets_grow(session, one), *_conditions_stay(session, old))
    return _checked(
        session,
        Renaming(
            kind=PROPERTY,
            names=((old, new),),
            changes=(
                _change(session, "property_rules", "versions of the rule of sources", this, values),
                _change(session, "split_versions", "versions of splits for it alone", this, values),
                _change(session, "splits", "folds that are for it alone", this, values),
                _change(session, "forecasts", "forecasts", this, values),
                _change(session, "properties", "targets", this, values),
            ),
            models=models,
            stays=stays,
            added=_grown_sets(session, one),
        ),
    )


def of_source(session: Session, property: str, old: str, new: str) -> Renaming:
    """The renaming of one source of a property, also in the rules that name it.

    Raises
    ------
    UnknownNameError
        If there is no such property, or source of it.
    InvalidInputError
        If the property has a source of the new name, or it is empty or reads as a rule.
    """
    begun = _begun(session, SOURCE, old, new, property)
    sources = {row["source"] for row in stored_properties(session, property)}
    if not begun:
        if old not in sources:
            raise UnknownNameError(
                f"source of {property}", old, sources, renamed_hint(session, SOURCE, old)
            )
        _check_text("source", new)
        if is_rule(new):
            raise InvalidInputError(f"a source cannot be called {new!r}: that is how a rule reads")
        if new in sources:
            raise InvalidInputError(
                f"property {property!r} has a source {new!r} already, and values of two sources "
                f"are not mixed; take them together with: featurestore properties unite {property} "
                f"{old} {new}, or remove one with: featurestore remove property {property} "
                f"--source {new}"
            )
    one = _of_now(SOURCE, old, new, property)
    this = SQL(f"property = {quoted(property)} AND source = {quoted(old)}")
    models = _models(session, lambda p: parameters_now(p, [one]) != p, begun)
    rules = [
        _change(
            session,
            "property_rules",
            "versions of the rule of its sources",
            SQL(f"property = {quoted(property)} AND version = {literal(rule.version)}"),
            {
                "sources": SQL(f"make_array({_listed(_replaced(rule.sources, old, new))})"),
                "rule": quoted(
                    rule_text(rule.way, _replaced(rule.sources, old, new), rule.tolerance)
                ),
            },
        )
        for rule in property_rules(session, property)
        if old in rule.sources
    ]
    failures, kept = _failures(session, "targets", old, new)
    return _checked(
        session,
        Renaming(
            kind=SOURCE,
            property=property,
            names=((old, new),),
            changes=(
                *rules,
                *failures,
                _change(session, "properties", "targets", this, {"source": quoted(new)}),
            ),
            models=models,
            stays=(*_models_stay(models), *_sets_grow(session, one), *kept),
            added=_grown_sets(session, one),
        ),
    )


def of_split(session: Session, old: str, new: str) -> Renaming:
    """The renaming of a split, or of all splits that belong together, as a cross-validation's.

    Raises
    ------
    UnknownNameError
        If there is no such split.
    InvalidInputError
        If it is one of several that belong together, or the new name is in use or empty.
    """
    begun = _begun(session, SPLIT, old, new)
    together = families(session)
    of = {one: family for (family, _), members in together.items() for one in members}
    known = set(session.query("SELECT DISTINCT split FROM splits")["split"].to_pylist())
    known |= set(session.query("SELECT DISTINCT split FROM split_versions")["split"].to_pylist())
    if not begun:
        if old in of and of[old] != old:
            raise InvalidInputError(
                f"split {old!r} is one of those of {of[old]!r}; rename all of it with: "
                f"featurestore rename split {of[old]} {new}"
            )
        names = {of.get(one, one) for one in known}
        if old not in names:
            raise UnknownNameError("split", old, names, renamed_hint(session, SPLIT, old))
        _check_text("split", new)
        taken = [one for one in sorted(known | names) if one == new or one.startswith(f"{new}/")]
        if taken:
            raise InvalidInputError(
                f"there is a split {taken[0]!r} already; take another name, or remove it with: "
                f"featurestore remove split {of.get(taken[0], taken[0])}"
            )
    members = sorted(one for one, family in of.items() if family == old)
    pairs = dict.fromkeys(
        [
            (old, new),
            *((one.old, one.new) for one in begun),
            *((one, new + one.removeprefix(old)) for one in members),
        ]
    )
    is_old = SQL(f"split IN ({_listed([one for one, _ in pairs])})")
    # what follows the old name stays: nothing, the number of a fold, or what is left out
    named = SQL(f"concat({quoted(new)}, substr(split, {literal(len(old) + 1)}))")
    rule, drawn = SQL("rule"), SQL("false")
    for one, other in pairs:
        text, becomes = canonical_json({"of": one})[1:-1], canonical_json({"of": other})[1:-1]
        rule = SQL(f"replace({rule}, {quoted(text)}, {quoted(becomes)})")
        drawn = SQL(f"{drawn} OR contains(rule, {quoted(text)})")
    is_one = {one for one, _ in pairs}
    models = _models(session, lambda p: p.split in is_one, begun)
    found = [
        _failures(session, "splits", f"{one} {key}", f"{other} {key}")
        for one, other in pairs
        for key in _keys(session, one)
    ]
    return _checked(
        session,
        Renaming(
            kind=SPLIT,
            names=tuple(pairs),
            changes=(
                *(change for changes, _ in found for change in changes),
                _change(
                    session,
                    "split_versions",
                    "rules of splits drawn from it",
                    SQL(f"({drawn}) AND NOT {is_old}"),
                    {"rule": rule},
                ),
                _change(
                    session, "split_versions", "versions", is_old, {"split": named, "rule": rule}
                ),
                _change(session, "splits", "folds", is_old, {"split": named}),
            ),
            models=models,
            stays=(*_models_stay(models), *(one for _, kept in found for one in kept)),
        ),
    )


def of_dataset(session: Session, old: str, new: str) -> Renaming:
    """The renaming of a data set. The source of its targets is another name.

    Raises
    ------
    UnknownNameError
        If there is no such data set.
    InvalidInputError
        If there is one of the new name, or it is empty.
    """
    known = set(session.query("SELECT DISTINCT dataset FROM materials")["dataset"].to_pylist())
    if not _begun(session, DATASET, old, new):
        if old not in known:
            raise UnknownNameError(DATASET, old, known, renamed_hint(session, DATASET, old))
        _check_text(DATASET, new)
        if new in known:
            raise InvalidInputError(
                f"there is a data set {new!r} already, and two that have become one could not be "
                "told apart again; take another name"
            )
    failures, stays = _failures(session, "structures", old, new)
    sources = session.query(
        "SELECT DISTINCT property FROM properties WHERE source = ? ORDER BY ALL", [old]
    )["property"].to_pylist()
    if sources:
        stays += (
            f"{old} stays the source of {shown_names(sources)}; rename that with: featurestore "
            f"rename source {sources[0]} {old} {new}",
        )
    this = SQL(f"dataset = {quoted(old)}")
    change = _change(session, "materials", "materials", this, {"dataset": quoted(new)})
    return Renaming(
        kind=DATASET,
        names=((old, new),),
        changes=(*failures, change),
        models=_conditioned(session, old),
        stays=(*stays, *_conditions_stay(session, old)),
    )


def of_material(session: Session, old: str, new: str) -> Renaming:
    """The renaming of a material, with its targets, folds, predictions and forecasts.

    What asks for the old id is told the new one. A source that still has the old id brings it back
    as another material when it is ingested again.

    Raises
    ------
    UnknownNameError
        If there is no such material.
    InvalidInputError
        If there is one of the new id, or it is empty.
    """
    begun = _begun(session, MATERIAL, old, new)
    known = set(
        session.query("SELECT material_id FROM materials WHERE material_id IN (?, ?)", [old, new])[
            "material_id"
        ].to_pylist()
    )
    if not begun:
        structure_of(session, old)
        _check_text("material", new)
        if new in known:
            raise InvalidInputError(
                f"there is a material {new!r} already; take another id, or remove it with: "
                f"featurestore remove materials --where \"material_id = '{new}'\""
            )
    this, values = SQL(f"material_id = {quoted(old)}"), {"material_id": quoted(new)}
    predicted = session.query(
        "SELECT DISTINCT model_id FROM predictions WHERE material_id IN (?, ?) ORDER BY ALL",
        [old, new if begun else old],
    )["model_id"].to_pylist()
    models = tuple(sorted({*predicted, *(name for one in begun for name in one.models)}))
    dataset = session.dataset("materials")
    rows = [] if dataset is None else dataset.to_table(filter=this).to_pylist()
    near = SQL(f"array_has(nearest, {quoted(old)})")
    nearest = {"nearest": SQL(f"array_replace_all(nearest, {quoted(old)}, {quoted(new)})")}
    changes = (
        _change(session, "erasures", "erased predictions", this, values),
        _change(session, "predictions", "predictions", this, values),
        _change(session, "forecasts", "forecasts", this, values),
        _change(session, "forecasts", "forecasts of materials near it", near, nearest),
        _change(session, "splits", "folds", this, values),
        _change(session, "properties", "targets", this, values),
    )
    return _checked(
        session,
        Renaming(
            kind=MATERIAL,
            names=((old, new),),
            changes=changes,
            models=models,
            stays=(
                *_models_stay(models),
                *_conditions_stay(session, old),
                f"a source in which it is still {old} brings that back as another material",
            ),
            added=tuple(("materials", row | {"material_id": new}) for row in rows),
            removed=(_change(session, "materials", "material", this, {}),) if rows else (),
        ),
    )


def _begun(session: Session, kind: str, old: str, new: str, property: str = "") -> list[Renamed]:
    """What is on record of this very renaming if it was cut off: its names, those of splits too."""
    same = [
        one
        for one in renames(session)
        if (one.kind, one.property) == (kind, property)
        and (one.old == old or one.old.startswith(f"{old}/"))
        and one.new == new + one.old.removeprefix(old)
    ]
    newest = max((one.renamed_at for one in same), default=None)
    begun = [one for one in same if one.renamed_at == newest and not one.finished]
    return begun if any(one.old == old for one in begun) else []


def _of_now(kind: str, old: str, new: str, property: str = "") -> Renamed:
    return Renamed(
        kind=kind,
        old=old,
        new=new,
        property=property,
        models=(),
        renamed_at=datetime.now(UTC),
        finished=False,
    )


def _check_text(what: str, new: str) -> None:
    if not new.strip() or new != new.strip() or not new.isprintable():
        raise InvalidInputError(
            f"{new!r} is no name of a {what}: it is empty, begins or ends with a space, or has "
            "characters that cannot be printed"
        )


def _check_property_name(session: Session, old: str, new: str, units: set[str]) -> None:
    if not _PROPERTY_NAME.fullmatch(new):
        raise InvalidInputError(
            f"{new!r} is no name of a property: it has letters, digits, _ and -, a letter first"
        )
    if new.lower() in {column.lower() for column in MATERIAL_COLUMNS}:
        raise InvalidInputError(
            f"a property cannot be called {new!r}: materials have a column of this name"
        )
    for table in ("properties", "splits", "property_rules"):
        there = session.query(
            f"SELECT 1 FROM {identifier(table)} WHERE property = ? LIMIT 1", [new]
        )
        if there.num_rows:
            raise InvalidInputError(
                f"there is a property {new!r} already, in table {table}; take another name, or "
                f"remove it with: featurestore remove property {new}. If both are one quantity, "
                f"ingest the values of {old} again as {new} with a --source-name of their own"
            )
    registry = load_registry()
    if new in registry and units != {registry[new].unit}:
        raise InvalidInputError(
            f"{new!r} is registered in {registry[new].unit}, and the values of {old!r} are in "
            f"{', '.join(sorted(units))}: that is another quantity, or they are to be converted "
            "and ingested again"
        )


def _change(
    session: Session, table: str, what: str, condition: SQL, values: dict[str, SQL]
) -> Change:
    """How many rows a change of a table is about."""
    dataset = session.dataset(table)
    n = 0 if dataset is None else dataset.count_rows(filter=condition)
    return Change(table=table, what=what, condition=condition, values=values, n=n)


def _checked(session: Session, renaming: Renaming) -> Renaming:
    """The plan, unless a key would come to be there twice.

    Raises
    ------
    InvalidInputError
        If rows of both names have the rest of their key in common.
    """
    for change in renaming.changes:
        key = TABLES[change.table].key
        [of] = [name for name in change.values if name in key] or [""]
        if not of or not change.n:
            continue
        for old, new in renaming.names:
            rest = SQL(
                " AND ".join(
                    f"a.{identifier(name)} = b.{identifier(name)}" for name in key if name != of
                )
                or "true"
            )
            table, place = identifier(change.table), identifier(of)
            narrowed = SQL("true")
            if renaming.property:
                narrowed = SQL(f"a.property = {quoted(renaming.property)}")
            twice = session.query(
                f"SELECT count(*) AS n FROM {table} a JOIN {table} b ON {rest} "
                f"WHERE a.{place} = {quoted(old)} AND b.{place} = {quoted(new)} AND {narrowed}"
            )["n"][0].as_py()
            if twice:
                raise InvalidInputError(
                    f"{twice:,} rows of {change.table} are there under {old!r} and under {new!r}; "
                    "remove one or the other first with: featurestore remove"
                )
    return renaming


def _failures(
    session: Session, stage: str, old: str, new: str
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """The failures on record, unless there are some under the new name: then they stay."""
    of_stage = SQL(f"stage = {quoted(stage)}")
    change = _change(
        session,
        "failures",
        "failures on record",
        SQL(f"{of_stage} AND context = {quoted(old)}"),
        {"context": quoted(new)},
    )
    there = _change(session, "failures", "", SQL(f"{of_stage} AND context = {quoted(new)}"), {})
    if change.n and there.n:
        return (), (f"{change.n:,} failures stay on record under {old}: there are some of {new}",)
    return (change,), ()


def _keys(session: Session, split: str) -> list[str]:
    """The properties for which a split is, by its folds or its versions."""
    rows = session.query(
        "SELECT property FROM splits WHERE split = ?1 UNION "
        "SELECT property FROM split_versions WHERE split = ?1 ORDER BY ALL",
        [split],
    )
    return list(rows["property"].to_pylist())


def _models(
    session: Session, bears: Callable[[ViewParameters], bool], begun: Iterable[Renamed]
) -> tuple[str, ...]:
    """The models whose view bears the name by now, and those that are on record for it."""
    rows = session.query("SELECT model_id, view_parameters FROM models").to_pylist()
    found = {name for one in begun for name in one.models}
    past = renames(session)
    for row in rows:
        said = ViewParameters.from_dict(parsed_object(row["view_parameters"]))
        of_it = [one for one in past if row["model_id"] in one.models]
        if bears(parameters_now(said, of_it)):
            found.add(row["model_id"])
    return tuple(sorted(found))


def _models_stay(models: tuple[str, ...]) -> tuple[str, ...]:
    if not models:
        return ()
    keep, their = ("keeps", "its") if len(models) == 1 else ("keep", "their")
    return (
        f"{counted(len(models), 'model', 'models')} that learned under the old name {keep} saying "
        f"it, and {their} lineage says the new one: {shown_names(models)}",
    )


def _conditioned(session: Session, name: str) -> tuple[str, ...]:
    rows = session.query(
        "SELECT model_id FROM models WHERE contains(view_where, ?) ORDER BY ALL", [name]
    )
    return tuple(rows["model_id"].to_pylist())


def _conditions_stay(session: Session, name: str) -> tuple[str, ...]:
    """What is said of conditions: they are SQL of the user's, in which no name is replaced."""
    found = _conditioned(session, name)
    if not found:
        return ()
    of = counted(len(found), "model", "models")
    return (
        f"the condition of {of} has {name!r} in its text, which stays: their view cannot be made "
        f"again: {shown_names(found)}",
    )


def _sets_of(session: Session, one: Renamed) -> list[tuple[FeatureSet, list[str]]]:
    """The newest version of each feature set that names it, and its features by the new name."""
    newest = {found.name: found for found in feature_sets(session)}
    changed = [
        (found, [feature_after(feature, one) for feature in found.features])
        for found in newest.values()
    ]
    return [(found, after) for found, after in changed if tuple(after) != found.features]


def _grown_sets(session: Session, one: Renamed) -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple(
        (
            "feature_sets",
            {
                "name": found.name,
                "version": found.version + 1,
                "features": after,
                "written": after,
                "description": found.description,
                "fingerprint": fingerprint({"features": after}),
                "created_at": one.renamed_at,
            },
        )
        for found, after in _sets_of(session, one)
    )


def _sets_grow(session: Session, one: Renamed) -> tuple[str, ...]:
    found = [f"{each.name}@{each.version + 1}" for each, _ in _sets_of(session, one)]
    if not found:
        return ()
    return (
        f"{counted(len(found), 'feature set', 'feature sets')} that name it get a further version: "
        f"{shown_names(found)}",
    )


def _replaced(names: Iterable[str], old: str, new: str) -> list[str]:
    return [new if name == old else name for name in names]


def _listed(names: Iterable[str]) -> SQL:
    return SQL(", ".join(map(quoted, names)))
