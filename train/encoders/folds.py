"""Which structures an encoder may learn from, is chosen by, and is tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from featurestore.errors import MissingDataError, UnknownNameError
from featurestore.session import Session
from featurestore.views.request import FOLDS


@dataclass(frozen=True)
class Folds:
    """The fold of each structure.

    Parameters
    ----------
    of : mapping of str to str
        From structure_id to "train", "val" or "test".
    notes : tuple of str
        What a reader of the errors should know.
    """

    of: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())

    def members(self, fold: str) -> list[str]:
        """The structures of a fold, by id."""
        return sorted(one for one, its in self.of.items() if its == fold)

    @property
    def counts(self) -> dict[str, int]:
        """Structures in each fold."""
        return {fold: len(self.members(fold)) for fold in FOLDS}


def encoder_folds(
    session: Session,
    structure_ids: Sequence[str],
    *,
    hold_out: Sequence[str] = (),
    val_share: float = 0.1,
    test_share: float = 0.1,
    seed: int = 0,
) -> Folds:
    """Divide structures so that an encoder never learns from what it is judged by.

    Parameters
    ----------
    structure_ids : sequence of str
        What there is to learn from.
    hold_out : sequence of str
        Stored splits. What is in the test fold of one, for any property, is in the test fold here,
        and likewise for validation; so is what `ingest duplicates` found to be the same crystal.
        The shares then concern the structures that are left.
    val_share, test_share : float
        Of the structures, at random, for a fold that holds nothing otherwise.
    seed : int
        Of the random folds.

    Raises
    ------
    UnknownNameError
        If a split is unknown.
    MissingDataError
        If a fold to learn from or to choose by is empty.
    """
    ids = sorted(set(structure_ids))
    of: dict[str, str] = {}
    for split in hold_out:
        held = _held_out(session, split)
        of |= {one: "val" for one in ids if held.get(one) == "val" and one not in of}
        of |= {one: "test" for one in ids if held.get(one) == "test"}
    random = np.random.default_rng(seed)
    left = [one for one in ids if one not in of]
    order = [left[i] for i in random.permutation(len(left))]
    n_test = 0 if "test" in of.values() else max(1, round(test_share * len(ids)))
    n_val = 0 if "val" in of.values() else max(1, round(val_share * len(ids)))
    of |= dict.fromkeys(order[:n_test], "test")
    of |= dict.fromkeys(order[n_test : n_test + n_val], "val")
    of |= dict.fromkeys(order[n_test + n_val :], "train")
    folds = Folds(of, tuple(_overlaps(session, of)))
    if not folds.counts["train"] or not folds.counts["val"]:
        raise MissingDataError(
            f"of {len(ids)} structures {folds.counts['train']} are left to learn from and "
            f"{folds.counts['val']} to choose the best epoch by; add materials, or hold out less"
        )
    return folds


def _held_out(session: Session, split: str) -> dict[str, str]:
    """The fold of each structure that a split holds out for some property; test goes first."""
    known = session.query("SELECT DISTINCT split FROM splits ORDER BY split")["split"].to_pylist()
    if split not in known:
        raise UnknownNameError("split", split, known)
    rows = session.query(
        """
        WITH held AS (
            SELECT m.structure_id, min(s.fold) AS fold  -- 'test' sorts before 'val'
            FROM splits s JOIN materials m USING (material_id)
            WHERE s.split = ? AND s.fold IN ('val', 'test') GROUP BY m.structure_id
        ), same AS (
            SELECT d.structure_id, min(h.fold) AS fold FROM held h
            JOIN duplicates g ON g.structure_id = h.structure_id
            JOIN duplicates d ON d.group_id = g.group_id GROUP BY d.structure_id
        )
        SELECT structure_id, min(fold) AS fold FROM (FROM held UNION ALL FROM same)
        GROUP BY structure_id
        """,
        [split],
    )
    return dict(zip(rows["structure_id"].to_pylist(), rows["fold"].to_pylist(), strict=True))


def _overlaps(session: Session, of: Mapping[str, str]) -> list[str]:
    """A note for each stored test fold of which materials are learned from."""
    learned = [one for one, fold in of.items() if fold == "train"]
    rows = session.query(
        """
        WITH learned AS (SELECT unnest(?) AS structure_id),
        same AS (
            FROM learned
            UNION
            SELECT d.structure_id FROM learned l
            JOIN duplicates g ON g.structure_id = l.structure_id
            JOIN duplicates d ON d.group_id = g.group_id
        )
        SELECT s.split, s.property, count(*) AS materials,
               count(*) FILTER (m.structure_id IN (FROM same)) AS learned
        FROM splits s JOIN materials m USING (material_id) WHERE s.fold = 'test'
        GROUP BY ALL HAVING learned > 0 ORDER BY ALL
        """,
        [learned],
    ).to_pylist()
    return [
        f"{row['learned']:,} of the {row['materials']:,} test materials of split {row['split']!r} "
        f"({row['property']}) are learned from: errors of models on them will be optimistic; "
        f"--hold-out {row['split']} leaves them out"
        for row in rows
    ]
