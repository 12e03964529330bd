"""What bears the name of a property or of one of its sources, and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from featurestore.catalogue import stored_properties
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.property_rules import is_rule, property_rules, rule_text
from featurestore.quoting import SQL, identifier, literal, quoted
from featurestore.registry import load_registry
from featurestore.renames import PROPERTY, SOURCE, renamed_hint
from featurestore.session import Session
from featurestore.session_tables import MATERIAL_COLUMNS
from featurestore.upkeep.renaming import Renaming
from featurestore.upkeep.renamings.bearers import (
    conditions_stay,
    grown_sets,
    models_of,
    models_stay,
    sets_grow,
)
from featurestore.upkeep.renamings.plan import (
    begun_of,
    change_of,
    check_text,
    checked,
    failures_of,
    listed,
    renamed_now,
)
from featurestore.views.renamed import parameters_now

_PROPERTY_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)


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
    begun = begun_of(session, PROPERTY, old, new)
    if not begun:
        units = {row["unit"] for row in stored_properties(session, old)}
        _check_property_name(session, old, new, units)
    one = renamed_now(PROPERTY, old, new)
    this = SQL(f"property = {quoted(old)}")
    values = {"property": quoted(new)}
    models = models_of(session, lambda p: parameters_now(p, [one]) != p, begun)
    stays = (*models_stay(models), *sets_grow(session, one), *conditions_stay(session, old))
    return checked(
        session,
        Renaming(
            kind=PROPERTY,
            names=((old, new),),
            changes=(
                change_of(
                    session, "property_rules", "versions of the rule of sources", this, values
                ),
                change_of(
                    session, "split_versions", "versions of splits for it alone", this, values
                ),
                change_of(session, "splits", "folds that are for it alone", this, values),
                change_of(session, "forecasts", "forecasts", this, values),
                change_of(session, "properties", "targets", this, values),
            ),
            models=models,
            stays=stays,
            added=grown_sets(session, one),
        ),
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


def of_source(session: Session, property: str, old: str, new: str) -> Renaming:
    """The renaming of one source of a property, also in the rules that name it.

    Raises
    ------
    UnknownNameError
        If there is no such property, or source of it.
    InvalidInputError
        If the property has a source of the new name, or it is empty or reads as a rule.
    """
    begun = begun_of(session, SOURCE, old, new, property)
    sources = {row["source"] for row in stored_properties(session, property)}
    if not begun:
        if old not in sources:
            raise UnknownNameError(
                f"source of {property}", old, sources, renamed_hint(session, SOURCE, old)
            )
        check_text("source", new)
        if is_rule(new):
            raise InvalidInputError(f"a source cannot be called {new!r}: that is how a rule reads")
        if new in sources:
            raise InvalidInputError(
                f"property {property!r} has a source {new!r} already, and values of two sources "
                f"are not mixed; take them together with: featurestore properties unite {property} "
                f"{old} {new}, or remove one with: featurestore remove property {property} "
                f"--source {new}"
            )
    one = renamed_now(SOURCE, old, new, property)
    this = SQL(f"property = {quoted(property)} AND source = {quoted(old)}")
    models = models_of(session, lambda p: parameters_now(p, [one]) != p, begun)
    rules = [
        change_of(
            session,
            "property_rules",
            "versions of the rule of its sources",
            SQL(f"property = {quoted(property)} AND version = {literal(rule.version)}"),
            {
                "sources": SQL(f"make_array({listed(_replaced(rule.sources, old, new))})"),
                "rule": quoted(
                    rule_text(rule.way, _replaced(rule.sources, old, new), rule.tolerance)
                ),
            },
        )
        for rule in property_rules(session, property)
        if old in rule.sources
    ]
    failures, kept = failures_of(session, "targets", old, new)
    return checked(
        session,
        Renaming(
            kind=SOURCE,
            property=property,
            names=((old, new),),
            changes=(
                *rules,
                *failures,
                change_of(session, "properties", "targets", this, {"source": quoted(new)}),
            ),
            models=models,
            stays=(*models_stay(models), *sets_grow(session, one), *kept),
            added=grown_sets(session, one),
        ),
    )


def _replaced(names: Iterable[str], old: str, new: str) -> list[str]:
    return [new if name == old else name for name in names]
