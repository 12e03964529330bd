"""New materials for a split that is there: every material keeps its fold, the rule places the new.

The draw depends on the rule's seed, the version that the extension makes, and the materials alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.failure import Failure
from featurestore.session import Session
from featurestore.splits import (
    ALL_PROPERTIES,
    EXTENDABLE,
    FOLDED,
    LEFT_OUT,
    RANDOM,
    WHOLE,
    cross_validations,
    families,
    next_version,
    split_rule,
)
from featurestore.store import FeatureStore
from featurestore.views.request import FOLDS
from ingest.stages.folds import Extension, blocks, cross_folds, extended_folds, parse_parts
from ingest.stages.splits import DrawnSplit, material_groups, materials_with


@dataclass(frozen=True)
class _Grown:
    """What is to be extended: one split, or all splits of a cross-validation, for one property."""

    splits: tuple[str, ...]
    key: str
    rule: dict[str, Any]
    version: int


def split_extensions(
    store: FeatureStore, name: str, property: str | None, given: Mapping[str, Any] | None = None
) -> list[DrawnSplit]:
    """The folds of the materials that have come since a split was made.

    Parameters
    ----------
    store : FeatureStore
        Read.
    name : str
        A split, or a cross-validation, whose splits are all extended.
    property : str, optional
        Extend it for this property alone; by default for all that it has.
    given : mapping, optional
        The rule of a split that has none of its own.

    Returns
    -------
    list of DrawnSplit
        One for each split that has new materials.

    Raises
    ------
    UnknownNameError
        If there is no such split.
    InvalidInputError
        If its rule does not say where new materials belong and none is given, or the other way
        round; or it is one of a cross-validation.
    MissingDataError
        If the split has no folds for the property, or groups cannot be made.
    """
    with store.session() as session:
        grown = _grown(session, name, property, given)
        before = {
            split: {key: _stored(session, split, key) for key in {one.key for one in grown}}
            for split in {split for one in grown for split in one.splits}
        }
    found = []
    for one in grown:
        there = {split: before[split][one.key] for split in one.splits}
        found += _extended(store, one, there)
    return found


def _grown(
    session: Session, name: str, property: str | None, given: Mapping[str, Any] | None
) -> list[_Grown]:
    every_cross = cross_validations(session)
    crossed = {key: splits for (of, key), splits in every_cross.items() if of == name}
    rows = session.query("SELECT DISTINCT split, property FROM splits ORDER BY ALL").to_pylist()
    plain = {row["property"]: (name,) for row in rows if row["split"] == name}
    every: dict[str, tuple[str, ...]] = plain | crossed
    if not every and any(of == name for of, _ in families(session)):
        raise InvalidInputError(
            f"{name!r} are splits that each leave something out, and have no rule for new "
            "materials: make them anew under another --name with --leave-out"
        )
    if not every:
        names = {row["split"] for row in rows} | {of for of, _ in every_cross}
        raise UnknownNameError("split", name, names, "(make one with: featurestore ingest splits)")
    if property is not None and property not in every:
        raise MissingDataError(
            f"split {name!r} has no folds for property {property!r}, only for "
            f"{', '.join(sorted(every))}"
        )
    found = []
    for key in [property] if property is not None else sorted(every):
        rule = split_rule(session, every[key][0], key)
        rule = _usable_rule(name, key, rule, given, is_crossed=key in crossed)
        version, _ = next_version(session, every[key][0], key)
        found.append(_Grown(splits=every[key], key=key, rule=rule, version=version))
    return found


def _usable_rule(
    name: str, key: str, rule: dict[str, Any], given: Mapping[str, Any] | None, *, is_crossed: bool
) -> dict[str, Any]:
    if rule["way"] == FOLDED and not is_crossed:
        raise InvalidInputError(
            f"split {name!r} is fold {rule['fold']} of the cross-validation {rule['of']!r}: extend "
            f"all of it with --extend {rule['of']}"
        )
    if rule["way"] == WHOLE:
        raise InvalidInputError(
            f"split {name!r} has all of the cross-validation {rule['of']!r}: extend that with "
            f"--extend {rule['of']}, and train again with: featurestore train final"
        )
    if rule["way"] in EXTENDABLE:
        if given is not None:
            raise InvalidInputError(
                f"split {name!r} for {key} has a rule, {_words(rule)}: extend it without --random"
            )
        return rule
    if given is None:
        raise InvalidInputError(
            f"split {name!r} for {key} was {_words(rule)}: where new materials belong is not "
            "known. Say it with --random, as --extend NAME --random 80/10/10, or give a file that "
            "has the new materials, too"
        )
    return dict(given)


def _words(rule: Mapping[str, Any]) -> str:
    if rule["way"] == RANDOM:
        grouped = f" by {rule['group_by']}" if "group_by" in rule else ""
        return f"--random {rule['parts']}{grouped} with seed {rule['seed']}"
    if rule["way"] == FOLDED:
        return f"--folds {rule['folds']} with seed {rule['seed']}"
    if rule["way"] == LEFT_OUT:
        return f"made to leave out {rule['held']}"
    return "drawn from another split" if rule["way"] == "sampled" else "read from a file"


def _stored(session: Session, split: str, key: str) -> dict[str, str]:
    rows = session.query(
        "SELECT material_id, fold FROM splits WHERE split = ? AND property = ?", [split, key]
    ).to_pylist()
    return {row["material_id"]: row["fold"] for row in rows}


def _extended(
    store: FeatureStore, grown: _Grown, there: Mapping[str, Mapping[str, str]]
) -> list[DrawnSplit]:
    name, rule = None if grown.key == ALL_PROPERTIES else grown.key, grown.rule
    members = {material for folds in there.values() for material in folds}
    if not set(materials_with(store, name)) - members:
        return []
    ids = sorted(members.union(materials_with(store, name)))
    group_by = rule.get("group_by")
    groups = material_groups(store, ids, group_by) if group_by else {one: one for one in ids}
    seed = [int(rule["seed"]), grown.version]
    if rule["way"] == RANDOM:
        shares = dict(zip(FOLDS, parse_parts(rule["parts"]), strict=True))
        extensions = [extended_folds(groups, there[grown.splits[0]], shares, seed)]
        rules = [rule]
    else:
        extensions = cross_extensions(
            groups, int(rule["folds"]), seed, [there[split] for split in grown.splits]
        )
        rules = [{**rule, "fold": number} for number in range(len(grown.splits))]
    refused = {
        material: Failure(
            "TornGroup",
            f"its group by {group_by} is in several folds already, {' and '.join(folds)}: it can "
            "be put into none without a leak; draw a new split",
        )
        for extension in extensions
        for material, folds in extension.torn.items()
    }
    return [
        DrawnSplit(
            split=split,
            name=name,
            folds={m: fold for m, fold in extension.folds.items() if m not in refused},
            rule=own_rule,
            refused=refused,
        )
        for split, extension, own_rule in zip(grown.splits, extensions, rules, strict=True)
    ]


def cross_extensions(
    groups: Mapping[str, str],
    n: int,
    seed: Sequence[int],
    before: Sequence[Mapping[str, str]] = (),
) -> list[Extension]:
    """The folds of a cross-validation's splits, in order of the block that is tested on.

    Parameters
    ----------
    groups : mapping of str to str
        The group of each id.
    n : int
        How many splits.
    seed : sequence of int
        Of all that is drawn.
    before : sequence of mapping of str to str
        The folds that each split has; empty for a new cross-validation.

    Raises
    ------
    InvalidInputError, MissingDataError
        As `blocks` and `cross_folds`.
    """
    stored = {
        name: str(number)
        for number, folds in enumerate(before)
        for name, fold in folds.items()
        if fold == "test"
    }
    found = blocks(groups, n, seed, stored)
    block_of = stored | found.folds
    placed = {name: group for name, group in groups.items() if name in block_of}
    extensions = [
        cross_folds(
            placed, block_of, str(number), [*seed, number], before[number] if before else None
        )
        for number in range(n)
    ]
    torn = found.torn | {name: folds for one in extensions for name, folds in one.torn.items()}
    return [Extension(one.folds, torn) for one in extensions]
