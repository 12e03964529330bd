"""Everything the store has of one material."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from explain.explore.described import Text, texts_of_material
from explain.explore.neighbours import named, values_of
from explain.explore.sessions import Source
from featurestore.catalogue import encoders, structure_of
from featurestore.classes import classes_of
from featurestore.crystal import Crystal
from featurestore.output.structure_files import cell_parameters
from featurestore.session import Session
from featurestore.stored_structures import crystal_from_row
from train.models import SeedGroup, seed_groups, stored_models


@dataclass(frozen=True)
class Value:
    """A property of the material as a source has it; classes are named."""

    property: str
    shown: float | str
    unit: str
    source: str


@dataclass(frozen=True)
class Prediction:
    """What a model says of the material, mean over its seeds.

    Parameters
    ----------
    property, unit : str
        What is predicted.
    model_id : str
        Of the first seed.
    label : str
        The features and the predictor.
    seeds : int
        Models.
    shown : float or str
        The value, or the class.
    lower, upper : float or None
        The 90 % interval of the first seed, or of the forecast.
    probability : float or None
        Of the class, by the first seed.
    class_set : list of str or None
        The classes that are in the 90 % set.
    fold : str
        Of the training; "forecast" for a material that the model has not met.
    target : float or str or None
        What it was to say.
    """

    property: str
    unit: str
    model_id: str
    label: str
    seeds: int
    shown: float | str
    lower: float | None
    upper: float | None
    fold: str
    target: float | str | None
    probability: float | None = None
    class_set: list[str] | None = None


@dataclass(frozen=True)
class Made:
    """A thing that was made of the material, and the run that made it."""

    kind: str
    what: str
    command: str
    run_id: str
    started_at: datetime | None


@dataclass(frozen=True)
class Material:
    """What a page on a material shows."""

    row: dict[str, Any]
    crystal: Crystal
    cell: tuple[float, float, float, float, float, float]
    values: tuple[Value, ...]
    predictions: tuple[Prediction, ...]
    texts: tuple[Text, ...]
    same_structure: tuple[str, ...]
    made: tuple[Made, ...] = field(repr=False)

    @property
    def density(self) -> float:
        """In atoms per 1000 Å³: masses are not among what the store has."""
        return 1000 * self.crystal.n_atoms / self.crystal.volume


def material(source: Source, material_id: str) -> Material:
    """Everything of one material but its neighbours.

    Raises
    ------
    UnknownNameError
        If there is none of that id.
    """
    session = source.session
    structure_of(session, material_id)
    [row] = session.query(
        "SELECT * FROM materials WHERE material_id = ?", [material_id]
    ).to_pylist()
    crystal = crystal_from_row(row)
    shown = {
        name: value
        for name, value in row.items()
        if name not in ("lattice", "species", "frac_coords")
    }
    same = session.query(
        "SELECT material_id FROM materials WHERE structure_id = ? AND material_id <> ? "
        "ORDER BY material_id LIMIT 20",
        [row["structure_id"], material_id],
    )
    return Material(
        row=shown,
        crystal=crystal,
        cell=cell_parameters(crystal),
        values=_values(session, material_id),
        predictions=_predictions(session, material_id),
        texts=texts_of_material(session, material_id),
        same_structure=tuple(same["material_id"].to_pylist()),
        made=_made(session, material_id, row),
    )


def crystal_of(source: Source, material_id: str) -> tuple[Crystal, str]:
    """The structure of a material and its formula; raises as `material`."""
    structure_of(source.session, material_id)
    [row] = source.session.query(
        "SELECT lattice, species, frac_coords, formula FROM materials WHERE material_id = ?",
        [material_id],
    ).to_pylist()
    return crystal_from_row(row), row["formula"]


def _values(session: Session, material_id: str) -> tuple[Value, ...]:
    rows = values_of(session, [material_id]).get(material_id, [])
    return tuple(Value(row["property"], row["value"], row["unit"], row["source"]) for row in rows)


def _predictions(session: Session, material_id: str) -> tuple[Prediction, ...]:
    rows = {
        row["model_id"]: row
        for row in session.query(
            "SELECT model_id, fold, target, prediction, lower, upper, probabilities, class_set "
            "FROM predictions WHERE material_id = ?",
            [material_id],
        ).to_pylist()
    }
    told = session.query(
        "SELECT model_ids, prediction, lower, upper, probabilities, class_set FROM forecasts "
        "WHERE material_id = ? ORDER BY created_at DESC",
        [material_id],
    ).to_pylist()
    if not rows and not told:
        return ()
    models = stored_models(session)
    groups = seed_groups(model for model in models if model.model_id in rows)
    found = [_of_group(group, [rows[one] for one in group.model_ids]) for group in groups]
    by_id = {model.model_id: group for group in seed_groups(models) for model in group}
    for one in told:
        group = by_id.get(next(iter(one["model_ids"]), ""))
        if group is not None:
            found.append(_of_group(group, [one | {"fold": "forecast", "target": None}]))
    return tuple(found)


def _of_group(group: SeedGroup, rows: Sequence[dict[str, Any]]) -> Prediction:
    from train.display.labels import features_label

    first, unit = group.first, group.parameters.unit
    mean = sum(row["prediction"] for row in rows) / len(rows)
    of_classes = classes_of(unit)
    target = rows[0]["target"]
    return Prediction(
        property=group.parameters.property,
        unit="" if of_classes else unit,
        model_id=first.model_id,
        label=f"{features_label(first)}, {first.predictor}",
        seeds=len(group),
        shown=named(rows[0]["prediction"], unit) if of_classes else mean,
        lower=None if of_classes else rows[0]["lower"],
        upper=None if of_classes else rows[0]["upper"],
        fold=rows[0]["fold"],
        target=None if target is None else named(target, unit),
        probability=max(rows[0]["probabilities"] or [0.0]) if of_classes else None,
        class_set=rows[0]["class_set"] if of_classes else None,
    )


def _made(session: Session, material_id: str, row: dict[str, Any]) -> tuple[Made, ...]:
    """What was made of the material, from its structure to its predictions."""
    structure = row["structure_id"]
    parts: list[tuple[str, str, str]] = [("structure", row["source_file"], row["run_id"])]
    for one in session.query(
        "SELECT DISTINCT property, run_id FROM properties WHERE material_id = ? ORDER BY property",
        [material_id],
    ).to_pylist():
        parts.append(("value", one["property"], one["run_id"]))
    for one in session.query(
        "SELECT generator_id, min(run_id) AS run_id, count(*) AS n FROM sentences "
        "WHERE structure_id = ? GROUP BY generator_id ORDER BY generator_id",
        [structure],
    ).to_pylist():
        parts.append(("text", f"{one['n']} sentences by {one['generator_id']}", one["run_id"]))
    parts += _vectors(session, structure)
    for one in session.query(
        "SELECT model_id, run_id FROM predictions WHERE material_id = ? ORDER BY model_id",
        [material_id],
    ).to_pylist():
        parts.append(("prediction", one["model_id"], one["run_id"]))
    # Of each run its name and time alone: `runs_of` also hides what is secret in its arguments.
    runs = {
        row["run_id"]: row
        for row in session.query(
            "SELECT run_id, command, started_at FROM runs WHERE list_contains(?, run_id)",
            [list({run_id for _, _, run_id in parts})],
        ).to_pylist()
    }
    unknown = {"command": "?", "started_at": None}
    return tuple(
        Made(
            kind,
            what,
            runs.get(run_id, unknown)["command"],
            run_id,
            runs.get(run_id, unknown)["started_at"],
        )
        for kind, what, run_id in parts
    )


def _vectors(session: Session, structure_id: str) -> list[tuple[str, str, str]]:
    from featurestore.quoting import identifier, quoted
    from featurestore.tables.schemas import embedding_table

    found = []
    for encoder in encoders(session):
        dataset = session.dataset(embedding_table(encoder.kind, encoder.encoder_id))
        if dataset is None:
            continue
        table = identifier(embedding_table(encoder.kind, encoder.encoder_id))
        if encoder.kind == "structure":
            where = f"structure_id = {quoted(structure_id)}"
        else:
            where = (
                "text_id IN (SELECT text_id FROM full_texts WHERE structure_id = "
                f"{quoted(structure_id)})"
            )
        rows = session.query(f"SELECT run_id FROM {table} WHERE {where}")
        found += [
            (f"{encoder.kind} vector", encoder.encoder_id, run_id)
            for run_id in rows["run_id"].to_pylist()
        ]
    return found
