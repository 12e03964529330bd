"""Where a forecast comes from: its models with their view, and the vectors that they were given."""

from __future__ import annotations

from typing import Any

from featurestore.catalogue import find_model_id
from featurestore.errors import UnknownNameError
from featurestore.history.lineage import model_lineage, prediction_lineage, stored_view
from featurestore.history.nodes import Node, runs_of, written
from featurestore.history.view_inputs import vectors_of_view
from featurestore.renames import renames
from featurestore.session import Session
from featurestore.views.candidates import select_candidates
from featurestore.views.renamed import parameters_now

_FACTS = (
    *("property", "unit", "prediction", "std", "lower", "upper", "calibration", "percentile"),
    *("had_target", "group_id", "inputs", "inputs_sha256"),
)


def told_lineage(session: Session, model: str, material_id: str) -> Node:
    """What a model said of a material: its stored prediction, else its newest forecast.

    Raises
    ------
    UnknownNameError
        If there is no such model, or it has said nothing of such a material.
    """
    model_id = find_model_id(session, model)
    rows = session.query(
        "SELECT 1 FROM predictions WHERE model_id = ? AND material_id = ?", [model_id, material_id]
    )
    if rows.num_rows:
        return prediction_lineage(session, model_id, material_id)
    return forecast_lineage(session, model_id, material_id)


def forecast_lineage(session: Session, model: str, material_id: str) -> Node:
    """A model's newest forecast of a material: all models that made it, and their inputs.

    Parameters
    ----------
    session : Session
        Where it is.
    model : str
        The id of one of the models, or its beginning.
    material_id : str
        The material.

    Raises
    ------
    UnknownNameError
        If there is no such model, or it has no forecast of such a material.
    """
    model_id = find_model_id(session, model)
    rows = session.query(
        "SELECT * FROM forecasts WHERE list_contains(model_ids, ?) AND material_id = ? "
        "ORDER BY created_at DESC, inputs_sha256 LIMIT 1",
        [model_id, material_id],
    ).to_pylist()
    if not rows:
        known = session.query(
            "SELECT DISTINCT material_id FROM forecasts WHERE list_contains(model_ids, $1) UNION "
            "SELECT material_id FROM predictions WHERE model_id = $1 ORDER BY ALL",
            [model_id],
        )["material_id"].to_pylist()
        raise UnknownNameError(f"material of model {model_id}", material_id, known)
    row = rows[0]
    facts: dict[str, Any] = {name: row[name] for name in _FACTS}
    facts["created_at"] = written(row["created_at"])
    parameters, _ = stored_view(session, model_id)
    parameters = parameters_now(parameters, renames(session, model_id))
    selected, lacking = select_candidates(session, parameters, [material_id])
    there = selected.rows["structure_id"].to_pylist()
    facts["inputs_now"] = (
        f"gone: {lacking[material_id]}"
        if lacking
        else "of the same structure"
        if there == [row["structure_id"]]
        else "of another structure"
    )
    models = tuple(model_lineage(session, one) for one in row["model_ids"])
    given = () if lacking else vectors_of_view(session, parameters, selected.rows)
    return Node(
        kind="forecast",
        name=f"{row['group_id']} for {material_id}",
        facts=facts,
        table="forecasts",
        runs=runs_of(session, [row["run_id"]]),
        inputs=(*models, *given),
    )
