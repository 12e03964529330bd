"""Splits that each test on all materials that share something: what does extrapolation cost?

Leave-one-cluster-out (Meredig et al., Mol. Syst. Des. Eng. 2018, 3, 819) and leave-one-element-out
are the two usual ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.errors import MissingDataError
from featurestore.store import FeatureStore
from ingest.stages.splits import material_groups

ELEMENT = "element"
#: Materials that have to be left to train on and to stop by.
FEWEST_LEFT = 3


@dataclass(frozen=True)
class LeftOut:
    """What is left out in turn.

    Parameters
    ----------
    folds : dict of str to dict of str to str
        By what is left out the fold of each material.
    passed_over : dict of str to str
        What is not left out, and why.
    """

    folds: dict[str, dict[str, str]]
    passed_over: dict[str, str]


def left_out_folds(
    holders: Mapping[str, Sequence[str]], at_least: int, seed: int, by: str
) -> LeftOut:
    """Folds that test on all materials that share something, for all that some share.

    Of the other materials a random tenth is to stop by.

    Parameters
    ----------
    holders : mapping of str to sequence of str
        What each material has, for example its elements.
    at_least : int
        What fewer materials have is not left out.
    seed : int
        Of what is drawn.
    by : str
        What it is, in an error.

    Raises
    ------
    MissingDataError
        If nothing can be left out.
    """
    members: dict[str, list[str]] = {}
    for material, labels in sorted(holders.items()):
        for label in labels:
            members.setdefault(label, []).append(material)
    folds: dict[str, dict[str, str]] = {}
    passed_over: dict[str, str] = {}
    for place, label in enumerate(sorted(members)):
        tested = set(members[label])
        rest = [one for one in sorted(holders) if one not in tested]
        if len(tested) < at_least:
            passed_over[label] = f"{len(tested)} materials, fewer than {at_least}"
            continue
        if len(rest) < FEWEST_LEFT:
            passed_over[label] = f"{len(tested)} materials, which leave {len(rest)} to train on"
            continue
        order = np.random.default_rng([seed, place]).permutation(len(rest))
        stop = {rest[row] for row in order[: max(round(len(rest) / 10), 1)]}
        folds[label] = {
            one: "test" if one in tested else "val" if one in stop else "train"
            for one in sorted(holders)
        }
    if not folds:
        label, why = max(passed_over.items(), key=lambda one: len(members[one[0]]))
        raise MissingDataError(
            f"nothing can be left out by {by!r}: of {len(members):,} groups the largest is "
            f"{label!r} with {why}; name another group, or fewer with --at-least"
        )
    return LeftOut(folds, passed_over)


def holders_of(store: FeatureStore, ids: Sequence[str], by: str) -> dict[str, list[str]]:
    """What each material has: its elements, or its one group; see `material_groups`.

    Raises
    ------
    UnknownNameError, MissingDataError, InvalidInputError, QueryError
        As `material_groups`.
    """
    if by != ELEMENT:
        return {name: [group] for name, group in material_groups(store, ids, by).items()}
    with store.session() as session:
        rows = session.query(
            "SELECT material_id, list_distinct(species) AS elements FROM materials "
            "WHERE material_id IN (SELECT unnest(?::VARCHAR[]))",
            [list(ids)],
        ).to_pylist()
    return {row["material_id"]: row["elements"] for row in rows}
