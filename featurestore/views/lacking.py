"""What materials lack that a view asks for, and the commands that make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from featurestore.catalogue import find_encoder, find_generator
from featurestore.commands import Command, describing_command, encoding_command
from featurestore.errors import MissingContentError
from featurestore.property_rules import values_sql
from featurestore.quoting import SQL, identifier, quoted
from featurestore.session import Session
from featurestore.tables.schemas import embedding_table
from featurestore.views.features import PropertyFeature, VectorFeature, feature_label
from featurestore.views.parameters import ViewParameters
from featurestore.views.request import COMBINED
from featurestore.views.sql import targets_sql, texts_sql, where_sql


@dataclass(frozen=True)
class _Need:
    """Something that a row of a view needs.

    Parameters
    ----------
    what : str
        In words, after "without a".
    condition : SQL
        Over the targets ``t``, for having it.
    command : callable or None
        Makes the command that makes it: only an error asks for it.
    """

    what: str
    condition: SQL
    command: Callable[[], Command] | None


def excluded(session: Session, parameters: ViewParameters, kept: int) -> dict[str, int]:
    """Materials with a target that the view leaves out, by the first thing they lack."""
    among = _among(parameters)
    total = session.read_only_query(f"SELECT count(*) AS n {among}")["n"][0].as_py()
    if total == kept:
        return {}
    case = SQL(
        " ".join(
            f"WHEN NOT ({need.condition}) THEN {quoted(need.what)}"
            for need in _needs(session, parameters)
        )
    )
    counted = session.read_only_query(
        f"SELECT lacking, count(*) AS n FROM (SELECT CASE {case} END AS lacking {among}) "
        "WHERE lacking IS NOT NULL GROUP BY lacking ORDER BY lacking"
    ).to_pylist()
    return {row["lacking"]: row["n"] for row in counted}


def lacking_of(session: Session, parameters: ViewParameters, among: SQL) -> dict[str, str]:
    """The first thing that each of the materials ``among`` lacks, in words; none for the others."""
    needs = _needs(session, parameters)
    if not needs:
        return {}
    case = SQL(" ".join(f"WHEN NOT ({need.condition}) THEN {quoted(need.what)}" for need in needs))
    rows = session.read_only_query(
        f"SELECT material_id, CASE {case} END AS lacking FROM {among} ORDER BY material_id"
    ).to_pylist()
    return {row["material_id"]: row["lacking"] for row in rows if row["lacking"] is not None}


def nothing_left(
    session: Session, parameters: ViewParameters, lacking: dict[str, int]
) -> MissingContentError:
    """The error of a view without rows, with the commands that would give it some."""
    counts = ", ".join(f"{n} lack a {what}" for what, n in lacking.items()) or (
        "none has a target and a fold"
        + (f" and fulfils {parameters.where}" if parameters.where else "")
    )
    message = f"the training view of {parameters.property!r} has no rows: {counts}"
    # ``lacking`` counts a material by the first thing that it lacks; it may lack others, too.
    among = _among(parameters)
    commands: list[Command] = []
    for need in _needs(session, parameters):
        if need.command is None:
            continue
        found = session.read_only_query(f"SELECT count(*) AS n {among} AND NOT ({need.condition})")
        if found["n"][0].as_py():
            commands.append(need.command())
    return MissingContentError(message, commands)


def _among(parameters: ViewParameters) -> SQL:
    """The targets ``t`` that the view's condition leaves."""
    return SQL(f"FROM {targets_sql(parameters)} t WHERE {where_sql(parameters)}")


def _needs(session: Session, parameters: ViewParameters) -> list[_Need]:
    found = []
    for part in parameters.parts:
        if isinstance(part, PropertyFeature):
            values = values_sql(part.name, part.source or "", called="value")
            has = SQL(f"SELECT material_id FROM ({values})")
            found.append(_Need(f"value of {part}", SQL(f"material_id IN ({has})"), None))
        elif isinstance(part, VectorFeature) and part.kind == "structure":
            found.append(_structure(session, parameters, part))
        elif isinstance(part, VectorFeature):
            found += _text(session, parameters, part)
    return found


def _structure(session: Session, parameters: ViewParameters, part: VectorFeature) -> _Need:
    encoder = find_encoder(session, part.encoder_id, "structure")
    table = identifier(embedding_table("structure", part.encoder_id))
    label = _label(session, parameters, part, "structure")
    return _Need(
        f"{label} vector",
        SQL(f"structure_id IN (SELECT structure_id FROM {table})"),
        partial(encoding_command, session, encoder),
    )


def _text(session: Session, parameters: ViewParameters, part: VectorFeature) -> list[_Need]:
    assert part.generator_id is not None
    encoder = find_encoder(session, part.encoder_id, "text")
    generator = find_generator(session, part.generator_id)
    table = identifier(embedding_table("text", part.encoder_id))
    described = SQL(
        f"SELECT structure_id FROM sentences WHERE generator_id = {quoted(part.generator_id)}"
    )
    encoded = SQL(f"SELECT structure_id FROM {texts_sql(part)} JOIN {table} USING (text_id)")
    text = "text" if parameters.features != COMBINED else f"{generator.source} text"
    return [
        _Need(
            text,
            SQL(f"structure_id IN ({described})"),
            partial(describing_command, session, generator),
        ),
        _Need(
            f"{_label(session, parameters, part, 'text')} vector",
            SQL(f"structure_id IN ({encoded})"),
            partial(encoding_command, session, encoder, generator.source, [part.variant]),
        ),
    ]


def _label(session: Session, parameters: ViewParameters, part: VectorFeature, short: str) -> str:
    if parameters.features != COMBINED:
        return short
    return feature_label(session, part, parameters.parts)
