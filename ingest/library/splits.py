"""Folds, from files or drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from featurestore.errors import InvalidInputError
from featurestore.identity import sha256_hex
from featurestore.store import FeatureStore
from ingest.recording import Ingested, ingested, recorded
from ingest.stages.folds import grouped_folds, parse_parts, random_folds, sampled_folds
from ingest.stages.splits import (
    ingest_split,
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
    seed: int = 0,
    group_by: str | None = None,
    property: str | None = None,
    name: str | None = None,
) -> Ingested:
    """Store folds from files with id_train, id_val and id_test, or draw them.

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
    seed : int
        Of what is drawn.
    group_by : str, optional
        With ``random``: what is kept together in one fold; see `material_groups`.
    property : str, optional
        The split is for it alone.
    name : str, optional
        Of the split; by default ``paper``, or it says how it was drawn.

    Raises
    ------
    InvalidInputError
        If none or several of ``files``, ``random`` and ``sample`` are given, or one of the others
        does not go with it.
    """
    if sum(map(bool, (files, random, sample))) != 1:
        raise InvalidInputError("give one of split files, random and sample")
    if group_by and not random:
        raise InvalidInputError("group_by goes with random")
    if bool(at_most) != bool(sample) or (where and not sample):
        raise InvalidInputError("at_most and where go with sample, which needs at_most")
    if sample and property is None:
        raise InvalidInputError("sample needs the property whose folds it draws from")
    paths = [Path(path) for path in files]
    arguments = {
        "files": tuple(paths),
        "fractions": random,
        "sample": sample,
        "at_most": at_most,
        "where": where,
        "seed": seed,
        "group_by": group_by,
        "property_name": property,
        "name": name,
    }
    with recorded(store, "splits", arguments, paths) as run:
        if paths:
            drawn = [
                (name or "paper", property or property_of_file(path), read_split_file(path))
                for path in paths
            ]
        elif sample:
            sizes = parse_parts(cast(str, at_most))
            stored = stored_folds(store, sample, cast(str, property), where)
            folds = sampled_folds(stored, sizes, seed)
            default = f"{sample}-sample-{'-'.join(map(str, sizes))}-seed-{seed}"
            default += f"-where-{sha256_hex(where.encode())[:8]}" if where else ""
            drawn = [(name or default, property, folds)]
        else:
            parts = parse_parts(cast(str, random))
            ids = materials_with(store, property)
            default = f"random-{'-'.join(map(str, parts))}-seed-{seed}"
            if group_by:
                folds = grouped_folds(material_groups(store, ids, group_by), parts, seed)
                default += f"-by-{group_by}"
            else:
                folds = random_folds(ids, parts, seed)
            drawn = [(name or default, property, folds)]
        first, *others = [
            ingest_split(store, folds, split=split, name=what, run=run, may_grow=not sample)
            for split, what, folds in drawn
        ]
        for outcome in others:
            first = first.joined(outcome)
        return ingested(run, first)
