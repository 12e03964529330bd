"""Stage 2: folds into ``splits``, from files in the paper's format or drawn at random."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.catalogue import stored_properties
from featurestore.errors import ConflictError, InvalidInputError, MissingDataError
from featurestore.failure import Failure
from featurestore.runs import Run
from featurestore.store import FeatureStore
from featurestore.view_request import FOLDS
from ingest.stages.failures import kept_failures
from ingest.stages.outcome import Outcome

_FILE_KEYS = {"id_train": "train", "id_val": "val", "id_test": "test"}
_FILE_PREFIX = "dataset_split_"
_PART = re.compile(r"0{0,9}[1-9][0-9]{0,8}")
_GROUPS = {"structure": "structure_id", "duplicates": "coalesce(group_id, structure_id)"}


def property_of_file(path: Path) -> str | None:
    """The property in a file name such as ``dataset_split_Tc_supercon.json``."""
    stem = path.stem
    return stem.removeprefix(_FILE_PREFIX) if stem.startswith(_FILE_PREFIX) else None


def read_split_file(path: Path) -> dict[str, str]:
    """The fold of each material id in a JSON file with id_train, id_val and id_test.

    Raises
    ------
    InvalidInputError
        If the file is missing or of another format, or puts one id into two folds.
    """
    try:
        content = json.loads(path.read_text("utf-8"), object_pairs_hook=_without_doubled_keys)
    # RecursionError on deep nesting.
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"cannot read split file {path}: {error}") from error
    if not isinstance(content, dict) or set(content) != set(_FILE_KEYS):
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise InvalidInputError(
            f"split file {path} must hold an object with {', '.join(_FILE_KEYS)}; found {found}"
        )
    folds: dict[str, str] = {}
    for key, fold in _FILE_KEYS.items():
        ids = content[key]
        if not isinstance(ids, list) or not all(isinstance(name, str) and name for name in ids):
            raise InvalidInputError(f"split file {path}: {key} must be a list of material ids")
        try:
            "".join(ids).encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"split file {path}: an id in {key} is no text: {error}"
            ) from error
        for name in ids:
            if name in folds:
                where = fold if folds[name] == fold else f"{folds[name]} and {fold}"
                raise InvalidInputError(f"split file {path} has {name} more than once: in {where}")
            folds[name] = fold
    return folds


def _without_doubled_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key that stands there twice Python would keep the last, in silence."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError(f"one of the keys {sorted(content)} stands there twice")
    return content


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


def material_groups(store: FeatureStore, ids: Sequence[str], group_by: str) -> dict[str, str]:
    """The group of each material.

    Parameters
    ----------
    store : FeatureStore
        Where the materials are.
    ids : sequence of str
        Material ids.
    group_by : str
        ``structure`` (equal structure ids), ``duplicates`` (the same crystal by
        ``featurestore ingest duplicates``, else equal structure ids), or an SQL expression over
        the columns of ``materials``, such as ``formula`` or ``prototype``.

    Raises
    ------
    MissingDataError
        If ``duplicates`` has not been run.
    InvalidInputError
        If the expression is NULL for a material, or is more than one.
    QueryError
        If DuckDB cannot run it.
    """
    expression = _GROUPS.get(group_by, group_by)
    with store.session() as session:
        if group_by == "duplicates" and session.dataset("duplicates") is None:
            raise MissingDataError(
                "it is not known which structures are the same crystal; run: featurestore ingest "
                "duplicates"
            )
        # The line break ends a comment that the expression may end with.
        rows = session.read_only_query(
            f"SELECT material_id, CAST(({expression}\n) AS VARCHAR) AS chosen_group "
            "FROM materials LEFT JOIN (SELECT structure_id, group_id FROM duplicates) "
            "USING (structure_id)"
        ).to_pylist()
    groups = {row["material_id"]: row["chosen_group"] for row in rows}
    lacking = [name for name in ids if groups.get(name) is None]
    if lacking:
        raise InvalidInputError(
            f"--group-by {group_by!r} is NULL for {len(lacking):,} materials, the first is "
            f"{lacking[0]!r}"
        )
    return {name: groups[name] for name in ids}


def parse_fractions(text: str) -> tuple[int, int, int]:
    """``"80/10/10"`` as three positive whole numbers.

    Raises
    ------
    InvalidInputError
        If it has another form.
    """
    parts = text.split("/")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidInputError(
            f"a random split is train/val/test in whole parts, as 80/10/10; got {text!r}"
        )
    return int(parts[0]), int(parts[1]), int(parts[2])


def materials_with(store: FeatureStore, name: str | None) -> list[str]:
    """Ids of all materials, or of those with a target for the property.

    Raises
    ------
    UnknownNameError
        If no material has the property.
    MissingDataError
        If there are fewer than three.
    """
    with store.session() as session:
        if name is None:
            rows = session.query("SELECT material_id FROM materials")
        else:
            stored_properties(session, name)
            rows = session.query(
                "SELECT DISTINCT material_id FROM properties WHERE property = ?", [name]
            )
    if rows.num_rows < 3:
        what = "materials" if name is None else f"materials with a target for {name!r}"
        raise MissingDataError(f"the store has {rows.num_rows} {what}; a split needs three")
    return list(rows["material_id"].to_pylist())


def ingest_split(
    store: FeatureStore, folds: Mapping[str, str], *, split: str, name: str | None, run: Run
) -> Outcome:
    """Write the folds of one split for one property, or for all (``name`` None).

    Ids that the store does not know are left out, counted and kept as failures.

    Raises
    ------
    ConflictError
        If the split exists and puts a material into another fold; nothing is written then.
    MissingDataError
        If the store knows none of the ids.
    """
    outcome = Outcome("fold assignments")
    key = name or "*"
    with store.session() as session:
        known = set(session.query("SELECT material_id FROM materials")["material_id"].to_pylist())
        there = session.query(
            "SELECT material_id, fold FROM splits WHERE split = ? AND property = ?", [split, key]
        ).to_pylist()
    for row in there:
        wanted = folds.get(row["material_id"], row["fold"])
        if wanted != row["fold"]:
            raise ConflictError(
                f"split {split!r} for {key} has {row['material_id']} in {row['fold']}, this one "
                f"has it in {wanted}; give the new split another name with --name"
            )
    rows: list[dict[str, Any]] = [
        {
            "split": split,
            "property": key,
            "material_id": material_id,
            "fold": fold,
            "run_id": run.run_id,
        }
        for material_id, fold in folds.items()
        if material_id in known
    ]
    if not rows:
        raise MissingDataError(
            f"none of the {len(folds)} ids of split {split!r} is in the store; ingest the "
            "structures first"
        )
    outcome.failures = {
        material_id: Failure("UnknownMaterial", f"the store has no material {material_id!r}")
        for material_id in folds
        if material_id not in known
    }
    with kept_failures(store, "splits", f"{split} {key}", outcome, run) as succeeded:
        result = store.merge_rows("splits", rows)
        outcome.written, outcome.present = result.written, result.present
        succeeded |= {row["material_id"] for row in rows}
    counts = ", ".join(f"{sum(row['fold'] == fold for row in rows):,} {fold}" for fold in FOLDS)
    outcome.notes.append(f"split {split!r} for {key}: {counts}")
    return outcome
