"""The rule behind each stored split, its versions, and splits that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from featurestore.errors import UnknownNameError
from featurestore.session import Session
from featurestore.tables.soundness import object_or_empty

#: Stands for all properties where a split is not for one alone.
ALL_PROPERTIES = "*"

# The ways in which folds come to be; those that say where further materials belong are in
# `EXTENDABLE`.
GIVEN, RANDOM, SAMPLED, FOLDED = "given", "random", "sampled", "folds"
LEFT_OUT, WHOLE = "left out", "whole"
EXTENDABLE = (RANDOM, FOLDED)
# Those of splits that belong to a name of several.
_OF_A_FAMILY = (FOLDED, LEFT_OUT, WHOLE)
#: What follows a cross-validation's name in that of the split in which every material is learned.
WHOLE_SUFFIX = "/all"


@dataclass(frozen=True)
class SplitVersion:
    """What one command has added to a split for one property.

    Parameters
    ----------
    split, property : str
        Which; the property ``*`` stands for all.
    version : int
        From 1; each extension is the next.
    rule : dict
        ``way``: "given" (from a file), "random", "sampled" (from another split), "folds" (one of
        a cross-validation), "left out" (all that shares something is tested on) or "whole" (no
        material of a cross-validation is tested on); and what decides the draw: ``parts``,
        ``seed``, ``group_by``; of splits that belong together their name ``of``; of a
        cross-validation how many ``folds`` and which ``fold``, from 0; of what is left out ``by``
        what, and which is ``held`` out.
    materials : int
        How many it added.
    created_at : datetime
        UTC.
    run_id : str
        The run, by which its rows of ``splits`` are found.
    """

    split: str
    property: str
    version: int
    rule: dict[str, Any]
    materials: int
    created_at: datetime
    run_id: str


def split_versions(session: Session, split: str | None = None) -> list[SplitVersion]:
    """The versions of all splits, or of one, in order; splits of earlier releases have none."""
    rows = session.query(
        "SELECT split, property, version, rule, materials, created_at, run_id FROM split_versions "
        "WHERE ?1 IS NULL OR split = ?1 ORDER BY split, property, version",
        [split],
    ).to_pylist()
    return [SplitVersion(**row | {"rule": object_or_empty(row["rule"])}) for row in rows]


def next_version(session: Session, split: str, property: str) -> tuple[int, bool]:
    """The version that the next rows of a split are, and whether a killed run has announced it.

    A version is written before its rows; one without rows is done again, with the same draw.
    """
    rows = session.query(
        "SELECT version, run_id IN (SELECT run_id FROM splits WHERE split = ?1 AND property = ?2) "
        "AS complete FROM split_versions WHERE split = ?1 AND property = ?2 ORDER BY version DESC",
        [split, property],
    ).to_pylist()
    if rows:
        newest = rows[0]
        return (newest["version"] + 1, False) if newest["complete"] else (newest["version"], True)
    there = session.query(
        "SELECT 1 FROM splits WHERE split = ? AND property = ? LIMIT 1", [split, property]
    )
    return (2 if there.num_rows else 1), False


def rule_of_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The rule of a split from the arguments of the command that drew it."""
    shared = {"seed": arguments.get("seed", 0)}
    if arguments.get("group_by"):
        shared["group_by"] = arguments["group_by"]
    if arguments.get("fractions"):
        return {"way": RANDOM, "parts": arguments["fractions"], **shared}
    if arguments.get("folds"):
        return {"way": FOLDED, "folds": int(arguments["folds"]), **shared}
    if arguments.get("leave_out"):
        return {"way": LEFT_OUT, "by": arguments["leave_out"], "seed": shared["seed"]}
    if arguments.get("sample"):
        chosen = {name: arguments.get(name) for name in ("at_most", "where")}
        given = {name: value for name, value in chosen.items() if value}
        return {"way": SAMPLED, "of": arguments["sample"], **given, **shared}
    return {"way": GIVEN}


def split_rule(session: Session, split: str, property: str) -> dict[str, Any]:
    """The rule of a split for a property (or ``*``), of its newest version.

    A split of an earlier release has the rule that the run says which wrote it.
    """
    versions = [one for one in split_versions(session, split) if one.property == property]
    if versions:
        return versions[-1].rule
    runs = session.query(
        "SELECT DISTINCT r.arguments FROM splits s JOIN runs r USING (run_id) "
        "WHERE s.split = ? AND s.property = ? AND r.command = 'ingest splits' ORDER BY ALL",
        [split, property],
    )["arguments"].to_pylist()
    rules = [rule_of_arguments(object_or_empty(arguments)) for arguments in runs]
    return rules[0] if rules and all(rule == rules[0] for rule in rules) else {"way": GIVEN}


def cross_validations(session: Session) -> dict[tuple[str, str], tuple[str, ...]]:
    """The splits of every cross-validation in order of their fold, by its name and property."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for version in split_versions(session):
        rule = version.rule
        if rule.get("way") == FOLDED:
            folds = found.setdefault((rule["of"], version.property), {})
            folds[rule["fold"]] = version.split
    return {name: tuple(folds[number] for number in sorted(folds)) for name, folds in found.items()}


def left_out(session: Session, name: str, property: str) -> dict[str, str]:
    """The splits that each leave out what shares something, by what that is; empty if none do.

    Parameters
    ----------
    name : str
        As ``featurestore ingest splits --leave-out element --name by-element`` was given it; its
        splits are called ``by-element/Fe`` and so on.
    property : str
        Splits that are for this property alone go before those for all.
    """
    found: dict[str, dict[str, str]] = {property: {}, ALL_PROPERTIES: {}}
    for version in split_versions(session):
        rule = version.rule
        if rule.get("way") == LEFT_OUT and rule["of"] == name and version.property in found:
            found[version.property][rule["held"]] = version.split
    return found[property] or found[ALL_PROPERTIES]


def families(session: Session) -> dict[tuple[str, str], tuple[str, ...]]:
    """All splits that belong together, by their common name and property.

    They are those of a cross-validation, with the one in which all is learned, and those that each
    leave out something.
    """
    found: dict[tuple[str, str], dict[str, None]] = {}
    for version in split_versions(session):
        if version.rule.get("way") in _OF_A_FAMILY:
            found.setdefault((version.rule["of"], version.property), {})[version.split] = None
    return {name: tuple(members) for name, members in found.items()}


def cross_validation(session: Session, name: str, property: str) -> tuple[str, ...]:
    """The splits of a cross-validation, one for each fold that is tested on, in order.

    Each material is in the test fold of exactly one of them.

    Parameters
    ----------
    name : str
        As ``featurestore ingest splits --folds 5 --name cv5`` was given it; its splits are called
        ``cv5/0`` and so on.
    property : str
        One that is for this property alone goes before one for all.

    Raises
    ------
    UnknownNameError
        If there is none of that name for the property.
    """
    known = cross_validations(session)
    for key in (property, ALL_PROPERTIES):
        if (name, key) in known:
            return known[name, key]
    raise UnknownNameError(
        f"cross-validation for {property}",
        name,
        {one for one, key in known if key in (property, ALL_PROPERTIES)},
        "(make one with: featurestore ingest splits --folds 5)",
    )
