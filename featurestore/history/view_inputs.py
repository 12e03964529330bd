"""What a training view was made from, by its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from featurestore.errors import FeatureStoreError, InvalidInputError, UnknownNameError
from featurestore.feature_sets import find_feature_set
from featurestore.history.inputs import _sentences, vectors_node
from featurestore.history.nodes import Node, RunRecord, runs_of
from featurestore.identity import canonical_json
from featurestore.property_rules import property_rules
from featurestore.renames import Renamed
from featurestore.session import Session
from featurestore.splits import split_versions
from featurestore.views.features import PropertyFeature, SqlFeature
from featurestore.views.parameters import ViewParameters
from featurestore.views.renamed import parameters_now, view_then
from featurestore.views.sql import text_columns, view_sql
from featurestore.views.view import load_view


def view_node(
    session: Session,
    parameters: ViewParameters,
    stored_sql: str,
    fingerprint: str,
    versions: dict[str, int] | None,
    since: Sequence[Renamed],
) -> Node:
    """A model\'s training view: by which SQL, whether it is the same today, and its inputs."""
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
            made.append(vectors_node(session, "structure", part.encoder_id, structures))
        else:
            number += 1
            texts = rows[text_columns(number)[0]].unique().to_pylist()
            sentences = _sentences(session, part.generator_id, part.variant, structures)
            made.append(vectors_node(session, "text", part.encoder_id, texts, sentences))
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
