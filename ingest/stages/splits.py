"""Stage 2: folds into ``splits``, from files in the paper's format, another split, or drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from featurestore.catalogue import check_split, stored_properties
from featurestore.errors import ConflictError, InvalidInputError, MissingDataError
from featurestore.failure import Failure
from featurestore.files import ROWS_SIZE, read_json
from featurestore.identity import canonical_json
from featurestore.query.conditions import as_condition, materials_where
from featurestore.quoting import SQL
from featurestore.session import Session
from featurestore.splits import ALL_PROPERTIES, EXTENDABLE, FOLDED, GIVEN, next_version, split_rule
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.views.request import FOLDS
from ingest.pipeline.failures import kept_failures
from ingest.pipeline.outcome import Outcome
from ingest.stages.clusters import cluster_request, clusters

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
        ``featurestore ingest duplicates``, else equal structure ids), ``cluster:ENCODER:N`` (see
        `ingest.stages.clusters`), or an SQL expression over the columns of ``materials``, such as
        ``formula`` or ``prototype``.

    Raises
    ------
    MissingDataError
        If ``duplicates`` has not been run, or not since materials have come that it is about; or
        vectors of an encoder lack.
    UnknownNameError
        If there is no such encoder.
    InvalidInputError
        If the expression is NULL for a material, or is more than one.
    QueryError
        If DuckDB cannot run it.
    """
    wanted = cluster_request(group_by)
    if wanted is not None:
        return clusters(store, ids, *wanted)
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
        if group_by == "duplicates":
            _check_compared(session, ids)
    groups = {row["material_id"]: row["chosen_group"] for row in rows}
    lacking = [name for name in ids if groups.get(name) is None]
    if lacking:
        raise InvalidInputError(
            f"--group-by {group_by!r} is NULL for {len(lacking):,} materials, the first is "
            f"{lacking[0]!r}"
        )
    return {name: groups[name] for name in ids}


def _check_compared(session: Session, ids: Sequence[str]) -> None:
    """Raise if structures have come since the same crystals were looked for."""
    rows = session.query(
        "SELECT material_id FROM materials WHERE material_id IN (SELECT unnest(?)) "
        "AND structure_id NOT IN (SELECT structure_id FROM duplicates) AND formula IN "
        "(SELECT formula FROM materials GROUP BY ALL HAVING count(DISTINCT structure_id) > 1) "
        "AND formula NOT IN (SELECT item FROM failures WHERE stage = 'duplicates') "
        "ORDER BY ALL",
        [list(ids)],
    )["material_id"].to_pylist()
    if rows:
        raise MissingDataError(
            f"{len(rows):,} materials have come since the same crystals were looked for, the first "
            f"is {rows[0]!r}; run: featurestore ingest duplicates"
        )


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


@dataclass(frozen=True)
class DrawnSplit:
    """The folds of one split for one property, as they are to be stored.

    Parameters
    ----------
    split : str
        Its name.
    name : str or None
        The property; None for all.
    folds : mapping of str to str
        The fold of each material id.
    rule : mapping
        How they were drawn; see `featurestore.splits.SplitVersion`.
    may_grow : bool
        Whether a split of this name may have other materials.
    refused : mapping of str to Failure
        Materials that can have no fold, and why.
    """

    split: str
    name: str | None
    folds: Mapping[str, str]
    rule: Mapping[str, Any] = field(default_factory=lambda: {"way": GIVEN})
    may_grow: bool = True
    refused: Mapping[str, Failure] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The property as the tables have it."""
        return self.name or ALL_PROPERTIES


def ingest_splits(store: FeatureStore, drawn: Sequence[DrawnSplit], run: Run) -> Outcome:
    """Write the folds of splits, all of them in one commit, and their rules as versions.

    Ids that the store does not know are left out, counted and kept as failures.

    Raises
    ------
    ConflictError
        If a split exists and puts a material into another fold or, unless it ``may_grow``, has
        other materials; nothing is written then.
    MissingDataError
        If the store knows none of the ids of a split.
    """
    with store.session() as session:
        checked = [_checked(session, one, run) for one in drawn]
    announced = [version for one in checked if (version := one.version) is not None]
    again = any(one.announced for one in checked)
    if store.merge_rows("split_versions", announced, replace=again).conflicts:
        raise _overtaken(drawn)
    whole = Outcome("fold assignments")
    with ExitStack() as kept:
        succeeded = [
            kept.enter_context(
                kept_failures(store, "splits", f"{one.drawn.split} {one.drawn.key}", outcome, run)
            )
            for one in checked
            if (outcome := one.outcome)
        ]
        result = store.merge_rows("splits", [row for one in checked for row in one.rows])
        if result.conflicts:
            raise _overtaken(drawn)
        for done, one in zip(succeeded, checked, strict=True):
            done |= {row["material_id"] for row in one.rows}
    for one in checked:
        whole = whole.joined(one.outcome)
    whole.written, whole.present = result.written, result.present
    return whole


def ingest_split(
    store: FeatureStore,
    folds: Mapping[str, str],
    *,
    split: str,
    name: str | None,
    run: Run,
    may_grow: bool = True,
) -> Outcome:
    """Write the folds of one split for one property, or for all; raises as `ingest_splits`."""
    return ingest_splits(store, [DrawnSplit(split, name, folds, may_grow=may_grow)], run)


@dataclass(frozen=True)
class _Checked:
    """A split that can be written: its rows, its version if there is a new one, its outcome."""

    drawn: DrawnSplit
    rows: list[dict[str, Any]]
    version: dict[str, Any] | None
    announced: bool
    outcome: Outcome


def _checked(session: Session, drawn: DrawnSplit, run: Run) -> _Checked:
    split, key, folds = drawn.split, drawn.key, drawn.folds
    known = set(session.query("SELECT material_id FROM materials")["material_id"].to_pylist())
    there = {
        row["material_id"]: row["fold"]
        for row in session.query(
            "SELECT material_id, fold FROM splits WHERE split = ? AND property = ?", [split, key]
        ).to_pylist()
    }
    rule = split_rule(session, split, key) if there else {}
    if rule.get("way") == FOLDED and dict(drawn.rule).get("of") != rule["of"]:
        raise ConflictError(
            f"split {split!r} for {key} is fold {rule['fold']} of the cross-validation "
            f"{rule['of']!r}; give the new split another name with --name"
        )
    for material_id, fold in there.items():
        wanted = folds.get(material_id, fold)
        if wanted != fold:
            raise ConflictError(
                f"split {split!r} for {key} has {material_id} in {fold}, this one has it in "
                f"{wanted}; give the new split another name with --name{_or_extend(rule)}"
            )
    others = there.keys() ^ folds.keys()
    if there and others and not drawn.may_grow:
        raise ConflictError(
            f"split {split!r} for {key} exists with other materials, for example {min(others)}; "
            f"give the new split another name with --name{_or_extend(rule)}"
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
    if folds and not rows:
        raise MissingDataError(
            f"none of the {len(folds)} ids of split {split!r} is in the store; ingest the "
            "structures first"
        )
    outcome = Outcome("fold assignments")
    outcome.failures = dict(drawn.refused) | {
        material_id: Failure("UnknownMaterial", f"the store has no material {material_id!r}")
        for material_id in folds
        if material_id not in known
    }
    counts = ", ".join(f"{sum(row['fold'] == fold for row in rows):,} {fold}" for fold in FOLDS)
    version, announced = next_version(session, split, key)
    n_new = sum(row["material_id"] not in there for row in rows)
    added = f" added, version {version}" if there and n_new == len(rows) else ""
    outcome.notes.append(f"split {split!r} for {key}: {counts}{added}")
    made = {
        "split": split,
        "property": key,
        "version": version,
        "rule": canonical_json(dict(drawn.rule)),
        "materials": n_new,
        "created_at": datetime.now(UTC),
        "run_id": run.run_id,
    }
    return _Checked(
        drawn=drawn,
        rows=rows,
        version=made if n_new else None,
        announced=announced,
        outcome=outcome,
    )


def _or_extend(rule: Mapping[str, Any]) -> str:
    if rule.get("way") not in EXTENDABLE:
        return ""
    return ", or add the new materials to it with --extend"


def _overtaken(drawn: Sequence[DrawnSplit]) -> ConflictError:
    return ConflictError(
        f"another process has just written to split {drawn[0].split!r}; run the command again"
    )
