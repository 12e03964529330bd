"""Ways of drawing folds: at random, by groups, as a sample of others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.views.request import FOLDS

_PART = re.compile(r"0{0,9}[1-9][0-9]{0,8}")


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
    members: dict[str, list[str]] = {}
    for name, group in sorted(groups.items()):
        members.setdefault(group, []).append(name)
    if len(members) < len(FOLDS):
        raise MissingDataError(
            f"the {len(groups):,} materials are in {len(members)} groups; a split needs three"
        )
    generator = np.random.default_rng(seed)
    ordered = sorted(members)
    room = np.array(fractions, dtype=np.float64) / sum(fractions) * len(groups)
    taken = np.zeros(len(FOLDS), dtype=bool)
    folds: dict[str, str] = {}
    for done, position in enumerate(generator.permutation(len(ordered))):
        names = members[ordered[position]]
        allowed = np.ones(len(FOLDS), dtype=bool)
        if len(ordered) - done <= np.count_nonzero(~taken):
            allowed = ~taken
        fits = allowed & (room >= len(names))
        if fits.any():
            weights = np.where(fits, room, 0.0)
            fold = int(generator.choice(len(FOLDS), p=weights / weights.sum()))
        else:
            fold = int(np.argmax(np.where(allowed, room, -np.inf)))
        room[fold] -= len(names)
        taken[fold] = True
        folds |= dict.fromkeys(names, FOLDS[fold])
    return folds


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
