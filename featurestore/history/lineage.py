"""Where a number comes from: from a model, prediction, vector or figure back to source files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.catalogue import find_encoder, find_model_id
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.history.inputs import vectors_node
from featurestore.history.nodes import Node, runs_of, written
from featurestore.history.view_inputs import vectors_of_view, view_node
from featurestore.output.figures import figure_models
from featurestore.renames import renames
from featurestore.session import Session
from featurestore.tables.soundness import object_or_empty, parsed_object
from featurestore.views.parameters import ViewParameters
from featurestore.views.renamed import parameters_now
from featurestore.views.sql import view_sql


def figure_lineage(session: Session, path: Path) -> Node:
    """A figure that `featurestore train report` or `featurestore explain` wrote.

    Raises
    ------
    InvalidInputError
        If it does not name its models.
    UnknownNameError
        If the store does not have one of them.
    """
    models = figure_models(path)
    inputs = tuple(model_lineage(session, model) for model in models)
    return Node("figure", path.name, {"models": models}, inputs=inputs)


def prediction_lineage(session: Session, model: str, material_id: str) -> Node:
    """A model's prediction for one material: the model, and the vectors it was given.

    Raises
    ------
    UnknownNameError
        If there is no such model, or it predicted no such material.
    """
    made_by = model_lineage(session, model)
    rows = session.query(
        "SELECT fold, target, prediction, run_id FROM predictions "
        "WHERE model_id = ? AND material_id = ?",
        [made_by.name, material_id],
    ).to_pylist()
    if not rows:
        known = session.query(
            "SELECT material_id FROM predictions WHERE model_id = ?", [made_by.name]
        )["material_id"].to_pylist()
        raise UnknownNameError(f"material of model {made_by.name}", material_id, known)
    row = rows[0]
    parameters, _ = stored_view(session, made_by.name)
    parameters = parameters_now(parameters, renames(session, made_by.name))
    selected = session.read_only_query(view_sql(parameters))
    selected = selected.filter(pa.compute.equal(selected["material_id"], material_id))
    inputs = (made_by, *vectors_of_view(session, parameters, selected))
    facts = {name: row[name] for name in ("fold", "target", "prediction")}
    runs = runs_of(session, [row["run_id"]])
    name = f"{made_by.name} for {material_id}"
    return Node(
        kind="prediction", name=name, facts=facts, table="predictions", runs=runs, inputs=inputs
    )


def model_lineage(session: Session, name: str) -> Node:
    """A stored model: its training view and everything that made up the view.

    Parameters
    ----------
    name : str
        Model id or its beginning.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If no model or several are so named.
    """
    model_id = find_model_id(session, name)
    row = session.query(
        "SELECT predictor, seed, settings, metrics, view_fingerprint, created_at, run_id "
        "FROM models WHERE model_id = ?",
        [model_id],
    ).to_pylist()[0]
    parameters, stored_sql = stored_view(session, model_id)
    runs = runs_of(session, [row["run_id"]])
    facts: dict[str, Any] = {
        "predictor": row["predictor"],
        "seed": row["seed"],
        "settings": object_or_empty(row["settings"]),
        "created_at": written(row["created_at"]),
    }
    crossed = object_or_empty(row["metrics"]).get("cross_validation")
    if crossed:
        facts["out_of_fold_by"] = crossed["models"]
    removed = session.query(
        "SELECT kind, name FROM removals WHERE list_contains(models, ?) ORDER BY ALL", [model_id]
    ).to_pylist()
    if removed:
        facts["removed_since"] = [f"{one['kind']} {one['name']}" for one in removed]
    since = renames(session, model_id)
    if since:
        said = (f"{one.kind} {one.old}, now {one.new}" for one in since)
        facts["renamed_since"] = list(dict.fromkeys(said))
    versions = runs[0].arguments.get("view_versions") if runs else None
    fingerprint = row["view_fingerprint"]
    view = view_node(session, parameters, stored_sql, fingerprint, versions, since)
    return Node(kind="model", name=model_id, facts=facts, table="models", runs=runs, inputs=(view,))


def vector_lineage(session: Session, content_id: str, encoder: str | None = None) -> Node:
    """The vector of a structure or of a text.

    Parameters
    ----------
    content_id : str
        A structure_id or text_id.
    encoder : str, optional
        Name or id of the encoder; needed where several have encoded it.

    Raises
    ------
    UnknownNameError
        If no encoder, or not this one, has encoded it.
    InvalidInputError
        If several have and none is named.
    """
    found = session.query(
        "SELECT 'structure' AS kind, encoder_id FROM structure_embedding_keys "
        "WHERE structure_id = ?1 UNION ALL SELECT 'text', encoder_id FROM text_embedding_keys "
        "WHERE text_id = ?1 ORDER BY ALL",
        [content_id],
    ).to_pylist()
    if encoder is not None and found:
        chosen = find_encoder(session, encoder, found[0]["kind"])
        found = [row for row in found if row["encoder_id"] == chosen.encoder_id]
    if not found:
        raise UnknownNameError("vector of", content_id, [], "(give a structure_id or a text_id)")
    if len(found) > 1:
        ids = ", ".join(row["encoder_id"] for row in found)
        raise InvalidInputError(f"several encoders have encoded it, name one by --encoder: {ids}")
    kind, encoder_id = found[0]["kind"], found[0]["encoder_id"]
    return vectors_node(session, kind, encoder_id, [content_id])


def stored_view(session: Session, model_id: str) -> tuple[ViewParameters, str]:
    """The parameters of a model's view, and its SQL as it was stored: to be shown, never to be run.

    Who made the store wrote that text. What is run is made anew from the parameters.
    """
    row = session.query(
        "SELECT view_parameters, view_sql FROM models WHERE model_id = ?", [model_id]
    ).to_pylist()[0]
    try:
        parameters = ViewParameters.from_dict(parsed_object(row["view_parameters"]))
    except ValueError as error:
        raise InvalidInputError(
            f"the view parameters of model {model_id} are damaged: {error}; see: "
            "featurestore verify"
        ) from error
    return parameters, row["view_sql"]
