"""Ways of drawing folds: at random, by groups, as a sample of others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.views.request import FOLDS

_PART = re.compile(r"0{0,9}[1-9][0-9]{0,8}")
_CROSS_SHARES = {"train": 9.0, "val": 1.0}


def parse_parts(text: str) -> tuple[int, int, int]:
    """``"80/10/10"``, for train, val and test, as three positive whole numbers.

    Raises
    ------
    InvalidInputError
        If it has another form.
    """
    parts = text.split("/")
    if len(parts) != len(FOLDS) or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidInputError(
            f"give train/val/test in whole positive numbers, as 80/10/10; got {text!r}"
        )
    train, val, test = map(int, parts)
    return train, val, test


def random_folds(ids: Sequence[str], fractions: Sequence[int], seed: int) -> dict[str, str]:
    """Random folds of sorted ids in the given proportions, the same for the same ids and seed.

    Each fold gets one id at least.

    Parameters
    ----------
    ids : sequence of str
        Three or more distinct ids.
    fractions : sequence of int
        Parts for train, val and test, for example (80, 10, 10).
    """
    ordered = sorted(ids)
    order = np.random.default_rng(seed).permutation(len(ordered))
    total = sum(fractions)
    n_val = min(max(round(len(ordered) * fractions[1] / total), 1), len(ordered) - 2)
    n_test = min(max(round(len(ordered) * fractions[2] / total), 1), len(ordered) - n_val - 1)
    n_train = len(ordered) - n_val - n_test
    folds = ["train"] * n_train + ["val"] * n_val + ["test"] * n_test
    return {ordered[position]: fold for position, fold in zip(order, folds, strict=True)}


def grouped_folds(groups: Mapping[str, str], fractions: Sequence[int], seed: int) -> dict[str, str]:
    """Random folds that keep each group in one of them, the same for the same groups and seed.

    Groups come in random order. Each goes to a fold with room for it, the likelier the more room
    there is; a group too large for any goes where there is most. Each fold gets one group at least.

    Parameters
    ----------
    groups : mapping of str to str
        The group of each id; three or more distinct groups.
    fractions : sequence of int
        Parts of the ids for train, val and test, for example (80, 10, 10). Whole groups can only
        come near them.

    Raises
    ------
    MissingDataError
        If there are fewer than three groups.
    """
    n_groups = len(set(groups.values()))
    if n_groups < len(FOLDS):
        raise MissingDataError(
            f"the {len(groups):,} materials are in {n_groups} groups; a split needs three"
        )
    shares = dict(zip(FOLDS, fractions, strict=True))
    return _drawn(groups, {}, shares, np.random.default_rng(seed))


def _drawn(
    groups: Mapping[str, str],
    before: Mapping[str, int],
    shares: Mapping[str, float],
    generator: np.random.Generator,
) -> dict[str, str]:
    """The fold of each id, whole groups together, so that the folds come near their shares.

    Parameters
    ----------
    groups : mapping of str to str
        The group of each id.
    before : mapping of str to int
        How many ids each fold has already.
    shares : mapping of str to float
        The part of all ids that each fold is to have.
    """
    members: dict[str, list[str]] = {}
    for name, group in sorted(groups.items()):
        members.setdefault(group, []).append(name)
    labels, ordered = list(shares), sorted(members)
    there = np.array([before.get(label, 0) for label in labels], dtype=np.float64)
    wanted = np.array([shares[label] for label in labels], dtype=np.float64)
    room = wanted / wanted.sum() * (len(groups) + there.sum()) - there
    taken = there > 0
    folds: dict[str, str] = {}
    for done, position in enumerate(generator.permutation(len(ordered))):
        names = members[ordered[position]]
        allowed = np.ones(len(labels), dtype=bool)
        if len(ordered) - done <= np.count_nonzero(~taken):
            allowed = ~taken
        fits = allowed & (room >= len(names))
        if fits.any():
            weights = np.where(fits, room, 0.0)
            fold = int(generator.choice(len(labels), p=weights / weights.sum()))
        else:
            fold = int(np.argmax(np.where(allowed, room, -np.inf)))
        room[fold] -= len(names)
        taken[fold] = True
        folds |= dict.fromkeys(names, labels[fold])
    return folds


@dataclass(frozen=True)
class Extension:
    """Where further ids go.

    Parameters
    ----------
    folds : dict of str to str
        The fold of each new id that has one.
    torn : dict of str to tuple of str
        New ids whose group is in several folds already, and which: none can take them.
    """

    folds: dict[str, str]
    torn: dict[str, tuple[str, ...]]


def extended_folds(
    groups: Mapping[str, str],
    before: Mapping[str, str],
    shares: Mapping[str, float],
    seed: Sequence[int],
) -> Extension:
    """The folds of ids that come later; those before them stay where they are.

    An id of a known group goes where the group is. Further groups are drawn as `grouped_folds`
    draws them, into the room that the shares of all ids leave.

    Parameters
    ----------
    groups : mapping of str to str
        The group of every id, the new ones and those before.
    before : mapping of str to str
        The fold of each id that has one.
    shares : mapping of str to float
        The part of all ids that each fold is to have.
    seed : sequence of int
        Of what is drawn; the same for the same ids and seed.
    """
    known: dict[str, set[str]] = {}
    for name, fold in before.items():
        if name in groups:
            known.setdefault(groups[name], set()).add(fold)
    folds, torn, free = {}, {}, {}
    for name in sorted(groups.keys() - before.keys()):
        there = known.get(groups[name], set())
        if len(there) > 1:
            torn[name] = tuple(sorted(there))
        elif there:
            folds[name] = next(iter(there))
        else:
            free[name] = groups[name]
    counts = Counter([*before.values(), *folds.values()])
    drawn = _drawn(free, counts, shares, np.random.default_rng(seed))
    return Extension(folds | drawn, torn)


def blocks(
    groups: Mapping[str, str], n: int, seed: Sequence[int], before: Mapping[str, str] | None = None
) -> Extension:
    """The ids in ``n`` blocks of about one size, "0" to "n - 1", whole groups together.

    Parameters
    ----------
    groups, seed : mapping, sequence
        As for `extended_folds`.
    n : int
        How many, from 2.
    before : mapping of str to str, optional
        The blocks of ids that have one.

    Raises
    ------
    InvalidInputError
        If ``n`` is less than 2.
    MissingDataError
        If there are fewer groups than blocks.
    """
    if n < 2:
        raise InvalidInputError(f"a cross-validation has two folds at least, not {n}")
    n_groups = len(set(groups.values()))
    if n_groups < n:
        raise MissingDataError(
            f"the {len(groups):,} materials are in {n_groups} groups; {n} folds need as many"
        )
    return extended_folds(groups, before or {}, dict.fromkeys(map(str, range(n)), 1.0), seed)


def cross_folds(
    groups: Mapping[str, str],
    block_of: Mapping[str, str],
    tested: str,
    seed: Sequence[int],
    before: Mapping[str, str] | None = None,
) -> Extension:
    """The split of a cross-validation that tests on one block.

    Of the other ids a tenth, whole groups, is drawn to stop by.

    Parameters
    ----------
    groups : mapping of str to str
        The group of each id that has a block.
    block_of : mapping of str to str
        The block of each id.
    tested : str
        The block that is tested on.
    seed : sequence of int
        Of what is drawn.
    before : mapping of str to str, optional
        The folds of ids that have one in this split.

    Raises
    ------
    MissingDataError
        If the other ids are in a single group.
    """
    before = before or {}
    rest = {name: group for name, group in groups.items() if block_of[name] != tested}
    if len(set(rest.values())) < 2:
        raise MissingDataError(
            f"without block {tested} the materials are in {len(set(rest.values()))} group, and "
            "training needs two, one of them to stop by: name fewer folds or smaller groups"
        )
    kept = {name: fold for name, fold in before.items() if fold != "test"}
    found = extended_folds(rest, kept, _CROSS_SHARES, seed)
    tests = {
        name: "test"
        for name, block in block_of.items()
        if block == tested and name in groups and name not in before
    }
    return Extension(found.folds | tests, found.torn)


def sampled_folds(folds: Mapping[str, str], sizes: Sequence[int], seed: int) -> dict[str, str]:
    """A random choice from each fold, the same for the same folds, sizes and seed.

    With the same seed the rows of a smaller sample are among those of a larger one, as a learning
    curve needs them.

    Parameters
    ----------
    folds : mapping of str to str
        The fold of each id.
    sizes : sequence of int
        The most ids to take from train, val and test.
    """
    sampled: dict[str, str] = {}
    for position, (fold, size) in enumerate(zip(FOLDS, sizes, strict=True)):
        names = sorted(name for name, own in folds.items() if own == fold)
        order = np.random.default_rng([seed, position]).permutation(len(names))
        sampled |= {names[chosen]: fold for chosen in order[:size]}
    return sampled
