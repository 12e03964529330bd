"""Materials that a model is tested on and has met before, by one name or another."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.catalogue import Encoder, check_split, encoders, find_property
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.files import check_regular
from featurestore.quoting import SQL
from featurestore.session import Session
from train.analysis.predictions import fold_errors
from train.display.labels import features_label, predictor_label
from train.models import seed_groups, stored_models
from train.predictors.registry import reads
from train.source_tasks import source_warnings

_PAIRS_OF_FOLDS = (("test", "train"), ("test", "val"), ("val", "train"))
_KINDS = {
    "equal structure": "structure_id",
    "same crystal, by StructureMatcher": "group_id",
    "equal formula and space group": "formula || ' ' || space_group_number",
    "equal formula": "formula",
}


@dataclass(frozen=True)
class Leak:
    """Materials of one fold that have a counterpart elsewhere.

    Parameters
    ----------
    kind : str
        What they have in common with it.
    fold, met_in : str
        The fold of the materials, and where the counterpart is: another fold, or what a source
        model was trained on.
    materials, of : int
        So many of so many.
    example : str or None
        One of them and its counterpart.
    """

    kind: str
    fold: str
    met_in: str
    materials: int
    of: int
    example: str | None


@dataclass(frozen=True)
class Leakage:
    """What was found, and what a reader should know about it."""

    leaks: tuple[Leak, ...]
    notes: tuple[str, ...]


def leakage(
    session: Session,
    property: str,
    split: str,
    property_source: str | None = None,
    seen: Path | None = None,
) -> Leakage:
    """Count the materials that two folds have in common under several notions of the same.

    Parameters
    ----------
    session : Session
        Of the store.
    property, split : str
        Whose folds to look at.
    property_source : str, optional
        Where the targets have several.
    seen : Path, optional
        CSV file with a column material_id: what a source model was trained on. Of a file that has
        a column fold, too, the rows of the folds train and val.

    Raises
    ------
    UnknownNameError, MissingDataError
        If the store has no such property or split.
    InvalidInputError
        If the file cannot be used.
    """
    rows, given = _of_split(session, property, split, property_source)
    counted = session.query(f"SELECT fold, count(*) AS n FROM ({rows}) GROUP BY ALL", given)
    sizes = dict(zip(counted["fold"].to_pylist(), counted["n"].to_pylist(), strict=True))
    if not sizes:
        raise MissingDataError(f"no material has both a target for {property!r} and a fold")
    leaks: list[Leak] = []
    for kind, key in _KINDS.items():
        for fold, other in _PAIRS_OF_FOLDS:
            row = session.query(
                f"WITH of_split AS ({rows}), keyed AS (SELECT *, {key} AS same FROM of_split) "
                "SELECT count(DISTINCT a.material_id) AS n, "
                "min(a.material_id || ' and ' || b.material_id) AS example "
                "FROM keyed a JOIN keyed b USING (same) WHERE a.fold = ?4 AND b.fold = ?5",
                [*given, fold, other],
            ).to_pylist()[0]
            leaks.append(
                Leak(
                    kind=kind,
                    fold=fold,
                    met_in=other,
                    materials=row["n"],
                    of=sizes.get(fold, 0),
                    example=row["example"],
                )
            )
    unchecked = session.query(
        f"SELECT count(*) AS n FROM ({rows}) WHERE group_id IS NULL AND formula IN "
        f"(SELECT formula FROM ({rows}) GROUP BY formula HAVING count(DISTINCT structure_id) > 1)",
        given,
    )["n"][0].as_py()
    notes = []
    if unchecked:
        notes.append(
            f"{unchecked:,} materials share their formula with others and were not compared with "
            "them by StructureMatcher, so that its counts are too low; run: featurestore ingest "
            f"duplicates --property {property}"
        )
    folds = session.query(f"SELECT material_id, fold FROM ({rows}) ORDER BY ALL", given)
    fold_of = dict(zip(folds["material_id"].to_pylist(), folds["fold"].to_pylist(), strict=True))
    # Of text models only those that were trained from a store have met materials at all.
    readers = [one for one in encoders(session, "text") if "trained_on" in one.fingerprint]
    known = [*encoders(session, "structure"), *readers]
    notes += source_warnings(known, property)
    for name, ids in _source_models(known, seen, notes).items():
        leaks += _seen(name, ids, fold_of, sizes)
    return Leakage(tuple(leaks), tuple(notes))


def leakage_table(found: Leakage) -> pa.Table:
    """One row for each kind and pair of folds; ``percent`` of the fold's materials."""
    return pa.Table.from_pylist(
        [
            {
                "kind": leak.kind,
                "fold": leak.fold,
                "met_in": leak.met_in,
                "materials": leak.materials,
                "of": leak.of,
                "percent": round(100 * leak.materials / leak.of, 2) if leak.of else None,
                "example": leak.example,
            }
            for leak in found.leaks
        ],
        pa.schema(
            [
                *[pa.field(name, pa.string()) for name in ("kind", "fold", "met_in")],
                *[pa.field(name, pa.int64()) for name in ("materials", "of")],
                pa.field("percent", pa.float64()),
                pa.field("example", pa.string()),
            ]
        ),
    )


def errors_on_new_materials(
    session: Session, property: str, split: str, property_source: str | None = None
) -> pa.Table:
    """The test MAE of each stored model, on all test materials and on those that are new.

    Models that differ only by their seed share a row; ``mae``, of classes ``brier``, is their mean.
    ``new_crystal`` leaves out what has an equal structure or the same crystal in train or val,
    ``new_formula`` what has an equal formula there. A lower error on fewer materials may also be
    due to the materials left.

    Raises
    ------
    UnknownNameError, MissingDataError
        If the store has no such property or split, or no model of them.
    """
    rows, given = _of_split(session, property, split, property_source)
    models = stored_models(session, property, split)
    if not models:
        raise MissingDataError(f"the store has no model of {property!r} on split {split!r}")
    met = session.query(
        f"WITH of_split AS ({rows}), known AS (SELECT * FROM of_split WHERE fold <> 'test') "
        "SELECT material_id, structure_id IN (SELECT structure_id FROM known) OR "
        "coalesce(group_id IN (SELECT group_id FROM known WHERE group_id IS NOT NULL), false) "
        "AS crystal, formula IN (SELECT formula FROM known) AS formula "
        "FROM of_split WHERE fold = 'test'",
        given,
    ).to_pylist()
    known = {
        kind: {row["material_id"] for row in met if row[kind]} for kind in ("crystal", "formula")
    }
    tested = fold_errors(session, [model.model_id for model in models])
    cells = []
    for group in seed_groups(models):
        first = group.first
        constant = reads(first.predictor) == "nothing"
        ids = tested[first.model_id].material_ids
        errors = group.mean(lambda model: tested[model.model_id].errors)
        cell: dict[str, Any] = {
            "features": "none" if constant else features_label(first),
            "encoders": None if constant else first.encoders,
            "predictor": predictor_label(first),
            "seeds": len(group),
        }
        for suffix, left_out in (
            ("", set()),
            ("_new_crystal", known["crystal"]),
            ("_new_formula", known["formula"] | known["crystal"]),
        ):
            kept = np.array([material_id not in left_out for material_id in ids], dtype=bool)
            cell[f"n{suffix}"] = int(kept.sum())
            cell[f"{first.task.error}{suffix}"] = float(errors[kept].mean()) if kept.any() else None
        cells.append(cell | {"unit": first.task.error_unit})
    return pa.Table.from_pylist(cells)


def read_seen(path: Path) -> set[str]:
    """The material ids of a CSV file with a column material_id.

    Raises
    ------
    InvalidInputError
        If the file cannot be read, has no such column, or names no material.
    """
    check_regular(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if "material_id" not in (reader.fieldnames or ()):
                raise InvalidInputError(f"{path} has no column material_id")
            ids = {row["material_id"] for row in reader if row.get("fold") != "test"}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from error
    if not ids:
        raise InvalidInputError(f"{path} names no material")
    return ids


def _of_split(
    session: Session, property: str, split: str, property_source: str | None
) -> tuple[SQL, list[str]]:
    """The query for the materials of a split, and its parameters."""
    source, _ = find_property(session, property, property_source)
    check_split(session, split, property)
    rows = SQL(
        "SELECT t.material_id, t.fold, m.structure_id, m.formula, m.space_group_number, "
        "d.group_id FROM targets(?1, split := ?2, property_source := ?3) t "
        "JOIN materials m USING (material_id) "
        "LEFT JOIN duplicates d ON d.structure_id = m.structure_id"
    )
    return rows, [property, split, source]


def _source_models(
    source_models: Sequence[Encoder], seen: Path | None, notes: list[str]
) -> dict[str, set[str]]:
    """The training materials of the source models that are known."""
    known = {} if seen is None else {f"{seen.name}": read_seen(seen)}
    for encoder in source_models:
        trained_on = encoder.fingerprint.get("trained_on")
        if isinstance(trained_on, list):
            # An empty list: nothing was learned from materials.
            known |= {encoder.encoder_id: set(map(str, trained_on))} if trained_on else {}
        elif seen is None and trained_on is not None:
            notes.append(
                f"{encoder.encoder_id} was trained on {trained_on}; which of these materials were "
                "among them it does not say: name them with --seen FILE"
            )
        elif seen is None:
            notes.append(
                f"{encoder.encoder_id} does not say which materials its weights were trained on; "
                "name them with --seen FILE"
            )
    return known


def _seen(
    name: str, ids: set[str], fold_of: dict[str, str], sizes: dict[str, int]
) -> Iterable[Leak]:
    for fold in ("test", "val"):
        met = sorted(m for m, of in fold_of.items() if of == fold and m in ids)
        example = met[0] if met else None
        yield Leak(
            kind="seen by the source model",
            fold=fold,
            met_in=name,
            materials=len(met),
            of=sizes.get(fold, 0),
            example=example,
        )
