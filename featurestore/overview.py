"""What a store holds, as rows for each kind of thing: what `featurestore.summary` puts in words."""

from __future__ import annotations

from typing import Any

from featurestore.classes import classes_of
from featurestore.session import Session
from featurestore.splits import ALL_PROPERTIES, cross_validations, families
from featurestore.tables.schemas import embedding_table
from featurestore.tables.soundness import object_or_empty

Row = dict[str, Any]


def overview(session: Session) -> dict[str, list[Row]]:
    """Rows by kind of thing; every value is one that JSON has, but times, which are UTC."""
    return {
        "materials": _materials(session),
        "properties": _properties(session),
        "splits": _splits(session),
        "texts": _texts(session),
        "encoders": _encoders(session),
        "models": _models(session),
        "forecasts": _forecasts(session),
        "failures": _failures(session),
        "runs": _runs(session),
    }


def _materials(session: Session) -> list[Row]:
    return list(
        session.query(
            "SELECT dataset, count(*) AS materials, count(DISTINCT structure_id) AS structures, "
            "median(n_atoms)::INTEGER AS median_atoms, max(n_atoms) AS most_atoms "
            "FROM materials GROUP BY dataset ORDER BY dataset"
        ).to_pylist()
    )


def _properties(session: Session) -> list[Row]:
    rows: list[Row] = session.query(
        "SELECT property, unit, source, count(*) AS values, min(value) AS low, avg(value) AS mean, "
        "max(value) AS high FROM properties GROUP BY ALL ORDER BY property, source"
    ).to_pylist()
    counted = session.query(
        "SELECT property, source, class, count(*) AS n FROM class_values GROUP BY ALL "
        "ORDER BY n DESC, class"
    ).to_pylist()
    for row in rows:
        row["classes"] = None
        if classes_of(row["unit"]):
            of = (row["property"], row["source"])
            found = [one for one in counted if (one["property"], one["source"]) == of]
            row |= {"low": None, "mean": None, "high": None}
            row["classes"] = {one["class"]: one["n"] for one in found}
    return rows


def _splits(session: Session) -> list[Row]:
    """A row for each split; those that belong together, as a cross-validation, are one."""
    rows = session.query(
        "SELECT split, property, count(*) FILTER (fold = 'train') AS train, "
        "count(*) FILTER (fold = 'val') AS val, count(*) FILTER (fold = 'test') AS test "
        "FROM splits GROUP BY ALL ORDER BY split, property"
    ).to_pylist()
    crossed = cross_validations(session)
    of = {(one, key): name for (name, key), many in families(session).items() for one in many}
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        split, key = row["split"], row["property"]
        called = None if key == ALL_PROPERTIES else key
        if (split, key) not in of:
            found[split, key] = row | {"property": called, "kind": "split", "tests": None}
            continue
        name = of[split, key]
        if not row["test"]:  # where all is learned
            continue
        kind = "cross-validation" if (name, key) in crossed else "leave-out"
        new = {"split": name, "property": called, "train": None, "val": None, "test": None}
        found.setdefault((name, key), new | {"kind": kind, "tests": []})["tests"].append(
            row["test"]
        )
    return list(found.values())


def _texts(session: Session) -> list[Row]:
    return list(
        session.query(
            "SELECT generator_id, count(DISTINCT structure_id) AS structures, "
            "count(*) AS sentences FROM sentences GROUP BY ALL ORDER BY generator_id"
        ).to_pylist()
    )


def _encoders(session: Session) -> list[Row]:
    rows = []
    for row in session.query("FROM encoders ORDER BY kind, encoder_id").to_pylist():
        dataset = session.dataset(embedding_table(row["kind"], row["encoder_id"]))
        rows.append(
            {
                "encoder_id": row["encoder_id"],
                "kind": row["kind"],
                "vectors": 0 if dataset is None else dataset.count_rows(),
                "dimension": row["dimension"],
                "segments": {
                    part["name"]: part["stop"] - part["start"] for part in row["segments"]
                },
            }
        )
    return rows


def _models(session: Session) -> list[Row]:
    return list(
        session.query(
            "SELECT property, predictor, count(*) AS models FROM models GROUP BY ALL ORDER BY ALL"
        ).to_pylist()
    )


def _forecasts(session: Session) -> list[Row]:
    return list(
        session.query(
            "SELECT property, count(*) AS forecasts, count(DISTINCT material_id) AS materials, "
            "count(DISTINCT group_id) AS models FROM forecasts GROUP BY property ORDER BY property"
        ).to_pylist()
    )


def _failures(session: Session) -> list[Row]:
    return list(
        session.query(
            "SELECT stage, context, error, count(*) AS failures, min(item) AS example "
            "FROM failures GROUP BY ALL ORDER BY failures DESC LIMIT 10"
        ).to_pylist()
    )


def _runs(session: Session) -> list[Row]:
    rows = session.query(
        "SELECT command, status, started_at, epoch(ended_at - started_at) AS seconds, counts "
        "FROM runs ORDER BY started_at DESC LIMIT 5"
    ).to_pylist()
    return [row | {"counts": object_or_empty(row["counts"])} for row in rows]
