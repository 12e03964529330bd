"""The split in which all materials of a cross-validation are learned: NAME/all."""

from __future__ import annotations

from datetime import UTC, datetime

from featurestore.errors import ConflictError
from featurestore.identity import canonical_json
from featurestore.session import Session
from featurestore.splits import (
    ALL_PROPERTIES,
    WHOLE,
    WHOLE_SUFFIX,
    cross_validation,
    cross_validations,
    next_version,
)
from featurestore.store import FeatureStore


def whole_split(store: FeatureStore, name: str, property: str) -> str:
    """Store the split of a cross-validation without a test fold, or add what it lacks.

    The rows to stop by are those of the cross-validation's first split: whole groups, where it
    keeps such together. All others are to be trained on.

    Parameters
    ----------
    store : FeatureStore
        Read, and written where folds lack.
    name, property : str
        The cross-validation and the property.

    Returns
    -------
    str
        The split's name.

    Raises
    ------
    UnknownNameError
        If there is no such cross-validation.
    ConflictError
        If a split of that name is something else.
    """
    split = f"{name}{WHOLE_SUFFIX}"
    with store.session() as session:
        first, *_ = cross_validation(session, name, property)
        key = property if (name, property) in cross_validations(session) else ALL_PROPERTIES
        folds = _folds(session, first, key)
        there = _folds(session, split, key)
        version, announced = next_version(session, split, key)
    wanted = {one: "val" if fold == "val" else "train" for one, fold in folds.items()}
    for material_id, fold in there.items():
        if wanted.get(material_id, fold) != fold:
            raise ConflictError(
                f"split {split!r} for {key} has {material_id} in {fold}, and the cross-validation "
                f"{name!r} has it in {wanted[material_id]}: remove that split, or give the "
                "cross-validation another name"
            )
    new = {one: fold for one, fold in wanted.items() if one not in there}
    if not new:
        return split
    with store.run("train whole split", {"of": name, "property": property}) as run:
        row = {
            "split": split,
            "property": key,
            "version": version,
            "rule": canonical_json({"way": WHOLE, "of": name}),
            "materials": len(new),
            "created_at": datetime.now(UTC),
            "run_id": run.run_id,
        }
        # The version first: one without rows is announced, and written again.
        store.merge_rows("split_versions", [row], replace=announced)
        rows = [
            {"split": split, "property": key, "material_id": one, "fold": fold}
            | {"run_id": run.run_id}
            for one, fold in new.items()
        ]
        run.counts["folds"] = store.merge_rows("splits", rows).written
    return split


def _folds(session: Session, split: str, key: str) -> dict[str, str]:
    rows = session.query(
        "SELECT material_id, fold FROM splits WHERE split = ? AND property = ?", [split, key]
    ).to_pylist()
    return {row["material_id"]: row["fold"] for row in rows}
