"""Stage 2: folds into ``splits``, from files in the paper's format, another split, or drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featurestore.catalogue import check_split, stored_properties
from featurestore.errors import ConflictError, InvalidInputError, MissingDataError
from featurestore.failure import Failure
from featurestore.files import ROWS_SIZE, read_json
from featurestore.query.conditions import as_condition, materials_where
from featurestore.quoting import SQL
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.views.request import FOLDS
from ingest.pipeline.failures import kept_failures
from ingest.pipeline.outcome import Outcome

_FILE_KEYS = {"id_train": "train", "id_val": "val", "id_test": "test"}
_FILE_PREFIX = "dataset_split_"
_GROUPS = {
    "structure": "structure_id",
    "duplicates": "coalesce(group_id, structure_id)",
    # the folds that are drawn depend on how the groups are called
    "formula": "formula_alphabetical",
}


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
        content = read_json(path, ROWS_SIZE, _without_doubled_keys)
    except InvalidInputError as error:
        raise InvalidInputError(f"cannot read split file: {error}") from error
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
        rows = session.read_only_query(
            f"SELECT material_id, CAST({as_condition(expression)} AS VARCHAR) AS chosen_group "
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


def stored_folds(
    store: FeatureStore, split: str, name: str, where: str | None = None
) -> dict[str, str]:
    """The fold of each material of a stored split that has a target for the property.

    Parameters
    ----------
    store : FeatureStore
        Where the split is.
    split, name : str
        The split and the property.
    where : str, optional
        Only materials for which this holds: an SQL expression over the columns of ``materials`` and
        the names of properties.

    Raises
    ------
    UnknownNameError
        If the split, the property or a name in the condition is not in the store.
    MissingDataError
        If the split has no folds for the property, or the condition leaves a fold empty.
    InvalidInputError
        If the condition is not one expression.
    QueryError
        If DuckDB cannot run it.
    """
    with store.session() as session:
        stored_properties(session, name)
        check_split(session, split, name)
        chosen = materials_where(
            session,
            where,
            among=SQL(
                "FROM materials WHERE material_id IN "
                "(SELECT material_id FROM properties WHERE property = ?)"
            ),
            parameters=[name],
        )
        rows = session.query("SELECT material_id, fold FROM folds(?, ?)", [name, split])
    wanted = set(chosen["material_id"].to_pylist())
    folds = {row["material_id"]: row["fold"] for row in rows.to_pylist()}
    folds = {material: fold for material, fold in folds.items() if material in wanted}
    for fold in FOLDS:
        if fold not in folds.values():
            condition = f" for which {where!r} holds" if where else ""
            raise MissingDataError(
                f"the {fold} fold of split {split!r} has no material with a target for {name!r}"
                f"{condition}"
            )
    return folds


def ingest_split(
    store: FeatureStore,
    folds: Mapping[str, str],
    *,
    split: str,
    name: str | None,
    run: Run,
    may_grow: bool = True,
) -> Outcome:
    """Write the folds of one split for one property, or for all (``name`` None).

    Ids that the store does not know are left out, counted and kept as failures.

    Raises
    ------
    ConflictError
        If the split exists and puts a material into another fold or, unless it ``may_grow``, has
        other materials; nothing is written then.
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
    others = {row["material_id"] for row in there} ^ folds.keys()
    if there and others and not may_grow:
        raise ConflictError(
            f"split {split!r} for {key} exists with other materials, for example {min(others)}; "
            "give the new split another name with --name"
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
