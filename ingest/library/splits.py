"""Folds, from files or drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from featurestore.catalogue import check_split
from featurestore.errors import InvalidInputError
from featurestore.identity import sha256_hex
from featurestore.splits import rule_of_arguments
from featurestore.store import FeatureStore
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.folds import grouped_folds, parse_parts, random_folds, sampled_folds
from ingest.stages.left_out import holders_of, left_out_folds
from ingest.stages.split_extension import cross_extensions, split_extensions
from ingest.stages.splits import (
    DrawnSplit,
    ingest_splits,
    material_groups,
    materials_with,
    property_of_file,
    read_split_file,
    stored_folds,
)


def add_splits(
    store: FeatureStore,
    files: Sequence[str | Path] = (),
    *,
    random: str | None = None,
    sample: str | None = None,
    at_most: str | None = None,
    where: str | None = None,
    folds: int | None = None,
    leave_out: str | None = None,
    at_least: int = 10,
    extend: str | None = None,
    like: str | None = None,
    seed: int = 0,
    group_by: str | None = None,
    property: str | None = None,
    name: str | None = None,
) -> Ingested:
    """Store folds from files with id_train, id_val and id_test, draw them, or add new materials.

    Parameters
    ----------
    store : FeatureStore
        Written to.
    files : sequence of path
        Split files; one named dataset_split_PROPERTY.json is for that property.
    random : str
        In place of files: the shares of train, val and test, as ``"80/10/10"``.
    sample, at_most : str
        In place of files: a split, and how many materials of each of its folds are drawn.
    where : str, optional
        With ``sample``: only materials for which this SQL condition holds.
    folds : int
        In place of files: the number of folds of a cross-validation. Its splits are ``NAME/0`` and
        so on: each tests on another part of the materials, and a tenth of the rest is to stop by.
    leave_out : str
        In place of files: ``element``, or what ``group_by`` takes. The splits ``NAME/…`` each test
        on all materials with one element, or of one group; a random tenth of the rest is to stop
        by. They have no rule for further materials.
    at_least : int
        With ``leave_out``: what fewer materials have is not left out.
    extend : str
        In place of files: a split or a cross-validation to which the materials are added that have
        come since. Every material keeps its fold; the rule by which the split was drawn places the
        new ones. A split without such a rule needs ``random``, too.
    like : str
        In place of files: a property whose folds in the split ``name`` become those of
        ``property``, as far as this has targets for their materials.
    seed : int
        Of what is drawn.
    group_by : str, optional
        With ``random`` or ``folds``: what is kept together in one fold; see `material_groups`.
    property : str, optional
        The split is for it alone.
    name : str, optional
        Of the split or cross-validation; by default ``paper``, or it says how it was drawn.

    Raises
    ------
    InvalidInputError
        If none or several of ``files``, ``random``, ``sample``, ``folds``, ``leave_out``,
        ``extend`` and ``like`` are given, or one of the others does not go with it.
    UnknownNameError, MissingDataError
        If a split or property is not there, or there are too few materials or groups.
    ConflictError
        If a split of that name has other folds.
    """
    ways = (files, random and not extend, sample, folds is not None, leave_out, extend, like)
    if sum(map(bool, ways)) != 1:
        raise InvalidInputError(
            "give one of split files, random, sample, folds, leave_out, extend and like"
        )
    if at_least < 1:
        raise InvalidInputError(f"a group that is left out has 1 material at least, not {at_least}")
    if group_by and not (random or folds is not None):
        raise InvalidInputError("group_by goes with random and folds")
    if bool(at_most) != bool(sample) or (where and not sample):
        raise InvalidInputError("at_most and where go with sample, which needs at_most")
    if sample and property is None:
        raise InvalidInputError("sample needs the property whose folds it draws from")
    if seed < 0:
        raise InvalidInputError(f"a seed is a whole number from 0, not {seed}")
    if like and (property is None or name is None or like == property):
        raise InvalidInputError("like needs the name of a split, and another property to have it")
    if extend and name:
        raise InvalidInputError("a split that is extended keeps its name")
    paths = [Path(path) for path in files]
    arguments = {
        "files": tuple(paths),
        "fractions": random,
        "sample": sample,
        "at_most": at_most,
        "where": where,
        "folds": folds,
        "leave_out": leave_out,
        "at_least": at_least if leave_out else None,
        "extend": extend,
        "like": like,
        "seed": seed,
        "group_by": group_by,
        "property_name": property,
        "name": name,
    }
    rule = rule_of_arguments(arguments)
    notes: list[str] = []
    with recorded(store, "splits", arguments, paths) as run:
        if paths:
            drawn = [
                DrawnSplit(
                    name or "paper", property or property_of_file(path), read_split_file(path), rule
                )
                for path in paths
            ]
        elif extend:
            drawn = split_extensions(store, extend, property, rule if random else None)
        elif like:
            with store.session() as session:
                check_split(session, cast(str, name), like)
                rows = session.query(
                    "SELECT material_id, fold FROM folds($1, $2) WHERE material_id IN "
                    "(SELECT material_id FROM properties WHERE property = $3)",
                    [like, name, property],
                ).to_pylist()
            folds_of = {row["material_id"]: row["fold"] for row in rows}
            drawn = [DrawnSplit(cast(str, name), property, folds_of, rule)]
        elif sample:
            sizes = parse_parts(cast(str, at_most))
            stored = stored_folds(store, sample, cast(str, property), where)
            default = f"{sample}-sample-{'-'.join(map(str, sizes))}-seed-{seed}"
            default += f"-where-{sha256_hex(where.encode())[:8]}" if where else ""
            chosen = sampled_folds(stored, sizes, seed)
            drawn = [DrawnSplit(name or default, property, chosen, rule, may_grow=False)]
        elif leave_out:
            ids = materials_with(store, property)
            held = left_out_folds(holders_of(store, ids, leave_out), at_least, seed, leave_out)
            called = name or f"leave-out-{leave_out}"
            drawn = [
                DrawnSplit(
                    split=f"{called}/{label}",
                    name=property,
                    folds=of_one,
                    rule={**rule, "of": called, "held": label},
                    may_grow=False,
                )
                for label, of_one in held.folds.items()
            ]
            notes += [f"not left out: {one}, {why}" for one, why in held.passed_over.items()]
        else:
            parts = parse_parts(random) if random else None
            ids = materials_with(store, property)
            groups = material_groups(store, ids, group_by) if group_by else None
            default = f"random-{'-'.join(map(str, parts))}" if parts else f"cv{folds}"
            default += f"-seed-{seed}" + (f"-by-{group_by}" if group_by else "")
            called = name or default
            if parts:
                chosen = (
                    grouped_folds(groups, parts, seed) if groups else random_folds(ids, parts, seed)
                )
                drawn = [DrawnSplit(called, property, chosen, rule)]
            else:
                of_each = cross_extensions(
                    groups or {one: one for one in ids}, cast(int, folds), [seed, 1]
                )
                drawn = [
                    DrawnSplit(
                        split=f"{called}/{number}",
                        name=property,
                        folds=one.folds,
                        rule={**rule, "of": called, "fold": number},
                        may_grow=False,
                    )
                    for number, one in enumerate(of_each)
                ]
        outcome = ingest_splits(store, drawn, run)
        outcome.notes += notes
        if not drawn:
            outcome.notes.append(f"split {extend!r} has every material; nothing was added")
        return ingested(run, outcome)
