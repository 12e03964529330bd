"""Where a number comes from: from a model, prediction, vector or figure back to source files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa

from featurestore.catalogue import find_encoder, find_model_id
from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.feature_sets import find_feature_set
from featurestore.identity import canonical_json
from featurestore.output.figures import figure_models
from featurestore.property_rules import property_rules
from featurestore.quoting import identifier
from featurestore.redaction import redacted, without_secrets
from featurestore.renames import Renamed, renames
from featurestore.session import Session
from featurestore.splits import split_versions
from featurestore.tables.schemas import embedding_table
from featurestore.tables.soundness import object_or_empty, parsed_object
from featurestore.texts.renderings import find_rendering
from featurestore.views.features import PropertyFeature, SqlFeature
from featurestore.views.parameters import ViewParameters
from featurestore.views.renamed import parameters_now, view_then
from featurestore.views.sql import text_columns, view_sql
from featurestore.views.view import load_view

_SHOWN_FILES = 5


@dataclass(frozen=True)
class RunRecord:
    """A row of ``runs``: the command that wrote something, and how it ended."""

    run_id: str
    command: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    arguments: dict[str, Any] = field(repr=False)
    versions: dict[str, str] = field(repr=False)
    git_commit: str | None
    counts: dict[str, int]
    message: str | None


@dataclass(frozen=True)
class Node:
    """One thing in the store, and what it was made from.

    Parameters
    ----------
    kind : str
        "model", "training view", "vectors", "sentences", "structures", "targets", "folds", …
    name : str
        Its id, or how many there are.
    facts : dict
        What identifies its content: fingerprints, hashes, versions. JSON values.
    table : str
        The table that holds it; empty for a view, a figure or a source file.
    runs : tuple of RunRecord
        What wrote it.
    inputs : tuple of Node
        What it was made from.
    """

    kind: str
    name: str
    facts: dict[str, Any]
    table: str = ""
    runs: tuple[RunRecord, ...] = ()
    inputs: tuple[Node, ...] = ()


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
        "created_at": row["created_at"].isoformat(),
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
    view = _view_node(session, parameters, stored_sql, fingerprint, versions, since)
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
    return _vectors(session, kind, encoder_id, [content_id])


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


def _view_node(
    session: Session,
    parameters: ViewParameters,
    stored_sql: str,
    fingerprint: str,
    versions: dict[str, int] | None,
    since: Sequence[Renamed],
) -> Node:
    sql = view_sql(parameters)
    p = parameters_now(parameters, since)
    rows = session.read_only_query(view_sql(p))
    facts: dict[str, Any] = {
        "parameters": parameters.as_dict(),
        "sql": sql,
        "fingerprint": fingerprint,
        "table_versions": versions or "not recorded",
        "rows": rows.num_rows,
        "rebuilt": _rebuilt(session, parameters, fingerprint, since),
    }
    if stored_sql != sql:
        facts["stored_sql"] = stored_sql
        facts["stored_sql_is"] = "not what these parameters give; it was not run"
    inputs = [
        *vectors_of_view(session, p, rows),
        *_feature_set(session, p),
        _targets(session, p),
    ]
    if p.split is not None:
        folds = session.query(
            "SELECT DISTINCT run_id FROM splits WHERE split = ? AND property IN (?, '*') "
            "ORDER BY ALL",
            [p.split, p.property],
        )["run_id"].to_pylist()
        said = {
            f"version {one.version} for {one.property}": f"{one.materials:,} materials, "
            + canonical_json(one.rule)
            for one in split_versions(session, p.split)
            if one.run_id in folds
        }
        inputs.append(
            Node(
                kind="folds", name=p.split, facts=said, table="splits", runs=runs_of(session, folds)
            )
        )
    return Node("training view", fingerprint[:12], facts, inputs=tuple(inputs))


def _rebuilt(
    session: Session, parameters: ViewParameters, fingerprint: str, since: Sequence[Renamed]
) -> str:
    """Whether the view, made from what the session sees, is the one the model was trained on."""
    try:
        view = load_view(session, parameters_now(parameters, since))
        now = (view_then(view, parameters, since) if since else view).fingerprint
    except FeatureStoreError as error:
        return f"cannot be made: {error}"
    return "the same, byte for byte" if now == fingerprint else f"another: {now[:12]}"


def vectors_of_view(
    session: Session, parameters: ViewParameters, rows: pa.Table
) -> tuple[Node, ...]:
    """What the columns of a view's rows were made from, a node for each feature."""
    structures = rows["structure_id"].unique().to_pylist()
    made, number = [], 0
    for part in parameters.parts:
        if isinstance(part, PropertyFeature):
            runs = _runs_of_values(session, part.name, part.source or "")
            made.append(
                Node(
                    kind="property as input",
                    name=str(part),
                    facts={},
                    table="properties",
                    runs=runs,
                )
            )
        elif isinstance(part, SqlFeature):
            made.append(Node("SQL as input", part.expression, {}, "materials"))
        elif part.generator_id is None:
            made.append(_vectors(session, "structure", part.encoder_id, structures))
        else:
            number += 1
            texts = rows[text_columns(number)[0]].unique().to_pylist()
            sentences = _sentences(session, part.generator_id, part.variant, structures)
            made.append(_vectors(session, "text", part.encoder_id, texts, sentences))
    return tuple(made)


def _feature_set(session: Session, parameters: ViewParameters) -> tuple[Node, ...]:
    """The feature set by whose name the view was asked for."""
    if parameters.feature_set is None:
        return ()
    try:
        found = find_feature_set(session, parameters.feature_set)
    except (UnknownNameError, InvalidInputError) as error:
        return (Node("feature set", parameters.feature_set, {"found": f"no: {error}"}),)
    runs = session.query(
        "SELECT run_id FROM feature_sets WHERE name = ? AND version = ?",
        [found.name, found.version],
    )["run_id"].to_pylist()
    facts = {"features": list(found.features), "description": found.description}
    return (
        Node(
            kind="feature set",
            name=str(found),
            facts=facts,
            table="feature_sets",
            runs=runs_of(session, runs),
        ),
    )


def _targets(session: Session, p: ViewParameters) -> Node:
    """The values that a view predicts; where they come by a rule, with the rule."""
    described = {"unit": p.unit, "source": p.property_source}
    rules = [one for one in property_rules(session, p.property) if one.text == p.property_source]
    inputs = tuple(
        Node(
            kind="rule",
            name=one.text,
            facts={"version": one.version},
            table="property_rules",
            runs=runs_of(session, [one.run_id]),
        )
        for one in rules
    )
    runs = _runs_of_values(session, p.property, p.property_source)
    return Node(
        kind="targets",
        name=p.property,
        facts=described,
        table="properties",
        runs=runs,
        inputs=inputs,
    )


def _runs_of_values(session: Session, name: str, source: str) -> tuple[RunRecord, ...]:
    """The runs that wrote the values of a property, of a source or of all that a rule names."""
    rules = [one for one in property_rules(session, name) if one.text == source]
    sources = list(rules[0].sources) if rules else [source]
    rows = session.query(
        "SELECT DISTINCT run_id FROM properties WHERE property = ? AND list_contains(?, source) "
        "ORDER BY ALL",
        [name, sources],
    )
    return runs_of(session, rows["run_id"].to_pylist())


def _vectors(
    session: Session,
    kind: str,
    encoder_id: str,
    ids: Sequence[str],
    sentences: Node | None = None,
) -> Node:
    encoder = find_encoder(session, encoder_id, kind)
    table = embedding_table(kind, encoder_id)
    key = "structure_id" if kind == "structure" else "text_id"
    runs = session.query(
        f"SELECT DISTINCT run_id FROM {identifier(table)} "
        f"WHERE {key} IN (SELECT unnest(?)) ORDER BY ALL",
        [list(ids)],
    )["run_id"].to_pylist()
    facts = {"encoder_id": encoder_id, "dimension": encoder.dimension, **encoder.fingerprint}
    if kind == "structure":
        inputs: tuple[Node, ...] = (_structures(session, ids),)
    else:
        inputs = (sentences,) if sentences else _rendered(session, ids[0])
    name = ids[0] if len(ids) == 1 else f"{len(ids):,} {kind}s by {encoder.name}"
    return Node(
        kind=f"{kind} vectors",
        name=name,
        facts=facts,
        table=table,
        runs=runs_of(session, runs),
        inputs=inputs,
    )


def _rendered(session: Session, text_id: str) -> tuple[Node, ...]:
    found = find_rendering(session, text_id)
    if found is None:
        return (Node("sentences", "none in the store render to this text", {}),)
    return (_sentences(session, found.generator_id, found.variant, [found.structure_id]),)


def _sentences(
    session: Session, generator_id: str, variant: str, structure_ids: Sequence[str]
) -> Node:
    rows = session.query(
        "SELECT run_id, count(*) AS n FROM sentences WHERE generator_id = ? "
        "AND structure_id IN (SELECT unnest(?)) GROUP BY ALL ORDER BY ALL",
        [generator_id, list(structure_ids)],
    )
    generator = session.query(
        "SELECT fingerprint FROM generators WHERE generator_id = ?", [generator_id]
    )["fingerprint"][0].as_py()
    facts = {"generator_id": generator_id, "variant": variant, **object_or_empty(generator)}
    return Node(
        kind="sentences",
        name=f"{sum(rows['n'].to_pylist()):,} by {generator_id}",
        facts=facts,
        table="sentences",
        runs=runs_of(session, rows["run_id"].to_pylist()),
        inputs=(_structures(session, structure_ids),),
    )


def _structures(session: Session, structure_ids: Sequence[str]) -> Node:
    rows = session.query(
        "SELECT material_id, structure_id, formula, dataset, source_file, run_id, notes "
        "FROM materials "
        "WHERE structure_id IN (SELECT unnest(?)) ORDER BY material_id",
        [list(structure_ids)],
    )
    facts: dict[str, Any] = {"datasets": sorted(set(rows["dataset"].to_pylist()))}
    if len(structure_ids) == 1:
        facts |= {
            "structure_id": structure_ids[0],
            "materials": [f"{row['material_id']} ({row['formula']})" for row in rows.to_pylist()],
        }
        notes = [note for row in rows.to_pylist() for note in row["notes"] or ()]
        if notes:
            facts["notes"] = sorted(set(notes))
    runs = runs_of(session, sorted(set(rows["run_id"].to_pylist())))
    files = sorted(set(rows["source_file"].to_pylist()))
    shown = tuple(_source_file(name, runs) for name in files[:_SHOWN_FILES])
    if len(files) > _SHOWN_FILES:
        rest = Node("source file", f"and {len(files) - _SHOWN_FILES:,} more", {})
        shown = (*shown, rest)
    name = structure_ids[0] if len(structure_ids) == 1 else f"{len(structure_ids):,} structures"
    return Node(
        kind="structures", name=name, facts=facts, table="materials", runs=runs, inputs=shown
    )


def _source_file(name: str, runs: Sequence[RunRecord]) -> Node:
    """A source file with the SHA-256 that the run which read it recorded."""
    hashes = sorted(
        {digest for run in runs for path, digest in _hashes(run) if PurePath(path).name == name}
    )
    return Node("source file", name, {"sha256": hashes or "not recorded"})


def _hashes(run: RunRecord) -> list[tuple[str, str]]:
    found = run.arguments.get("source_sha256")
    pairs = found.items() if isinstance(found, dict) else ()
    return [(path, digest) for path, digest in pairs if isinstance(digest, str)]


def runs_of(session: Session, run_ids: Sequence[str]) -> tuple[RunRecord, ...]:
    """The runs, oldest first; one that is not on record has the status "unknown"."""
    rows = session.query(
        "SELECT * FROM runs WHERE run_id IN (SELECT unnest(?)) ORDER BY started_at", [list(run_ids)]
    ).to_pylist()
    known = tuple(
        RunRecord(
            run_id=row["run_id"],
            command=row["command"],
            status=row["status"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            arguments=without_secrets(object_or_empty(row["arguments"])),
            versions=object_or_empty(row["versions"]),
            git_commit=row["git_commit"],
            counts=object_or_empty(row["counts"]),
            message=None if row["message"] is None else redacted(row["message"]),
        )
        for row in rows
    )
    lacking = set(run_ids) - {run.run_id for run in known}
    return known + tuple(
        RunRecord(
            run_id=run_id,
            command="?",
            status="unknown",
            started_at=None,
            ended_at=None,
            arguments={},
            versions={},
            git_commit=None,
            counts={},
            message=None,
        )
        for run_id in sorted(lacking)
    )
