"""The SQL of a training view: it joins keys and numbers; the vectors are read afterwards."""

from __future__ import annotations

import re

from featurestore.errors import InvalidInputError
from featurestore.query.conditions import (
    as_condition,
    as_expression,
    identifier,
    with_properties,
)
from featurestore.session import quoted
from featurestore.tables.schemas import embedding_table
from featurestore.views.features import PropertyFeature, SqlFeature, VectorFeature
from featurestore.views.parameters import ViewParameters

_NO_TEXT = ["NULL::VARCHAR AS text_id", "NULL::INTEGER AS n_tokens", "NULL::BOOLEAN AS truncated"]


def view_sql(parameters: ViewParameters) -> str:
    """The query for the rows of a view, without its vectors.

    Its columns are material_id, structure_id, text_id, fold, target, n_tokens and truncated, the
    last two and text_id of the first text; of further texts the same with ``_2`` and so on; and one
    for each feature that is a number, by its string.
    """
    texts = parameters.texts
    structures = [part for part in parameters.vectors if part.kind == "structure"]
    numbers = [part for part in parameters.parts if not isinstance(part, VectorFeature)]
    of_texts = [_text_values(number) for number in range(1, len(texts) + 1)]
    first = of_texts[0] if texts else _NO_TEXT
    columns = ["t.material_id", "t.structure_id", first[0], "t.fold", "t.target", *first[1:]]
    columns += [column for values in of_texts[1:] for column in values]
    columns += [f"n{i}.{identifier(str(part))}" for i, part in enumerate(numbers, 1)]
    lines = [f"SELECT {', '.join(columns)}", f"FROM {targets_sql(parameters)} t"]
    for number, part in enumerate(texts, 1):
        lines += _text_joins(part, number)
    lines += [_structure_join(part, number) for number, part in enumerate(structures, 1)]
    lines += [_number_join(part, number) for number, part in enumerate(numbers, 1)]
    if parameters.where is not None:
        lines.append(f"WHERE {where_sql(parameters)}")
    return "\n".join([*lines, "ORDER BY t.material_id"])


def targets_sql(parameters: ViewParameters) -> str:
    """The materials with a target and a fold, as a table function."""
    p = parameters
    split = quoted(p.split) if p.split is not None else "NULL"
    return (
        f"targets({quoted(p.property)}, split := {split}, "
        f"property_source := {quoted(p.property_source)})"
    )


def where_sql(parameters: ViewParameters) -> str:
    """The condition that narrows the view, over its rows ``t``; ``true`` where there is none."""
    if parameters.where is None:
        return "true"
    among = with_properties(dict(parameters.where_sources))
    return (
        f"t.material_id IN (SELECT material_id FROM {among} WHERE {as_condition(parameters.where)})"
    )


def texts_sql(part: VectorFeature) -> str:
    """The texts that a feature reads, as a table function."""
    assert part.generator_id is not None
    return f"texts({quoted(part.generator_id)}, variant := {quoted(part.variant)})"


def text_columns(number: int) -> tuple[str, str, str]:
    """The columns text_id, n_tokens and truncated of the text of that number, from 1."""
    after = "" if number == 1 else f"_{number}"
    return f"text_id{after}", f"n_tokens{after}", f"truncated{after}"


def _text_values(number: int) -> list[str]:
    """The columns of a text as they are selected."""
    tables = (_alias("x", number), _alias("e", number), _alias("e", number))
    values = []
    for table, name, column in zip(tables, text_columns(1), text_columns(number), strict=True):
        values.append(f"{table}.{name}" + (f" AS {column}" if column != name else ""))
    return values


def _text_joins(part: VectorFeature, number: int) -> list[str]:
    x, e = _alias("x", number), _alias("e", number)
    return [
        f"JOIN {texts_sql(part)} {x} ON {x}.structure_id = t.structure_id",
        f"JOIN {_table(part)} {e} ON {e}.text_id = {x}.text_id",
    ]


def _structure_join(part: VectorFeature, number: int) -> str:
    s = _alias("s", number)
    return f"JOIN {_table(part)} {s} ON {s}.structure_id = t.structure_id"


def _number_join(part: SqlFeature | PropertyFeature, number: int) -> str:
    name = identifier(str(part))
    if isinstance(part, SqlFeature):
        value = f"{as_expression(part.expression)}::DOUBLE AS {name} FROM materials"
    else:
        assert part.source is not None
        value = (
            f"value AS {name} FROM properties WHERE property = {quoted(part.name)} "
            f"AND source = {quoted(part.source)}"
        )
    return f"JOIN (SELECT material_id, {value}) n{number} ON n{number}.material_id = t.material_id"


def _table(part: VectorFeature) -> str:
    """The table of a feature's vectors; parameters may come from a row that a stranger wrote."""
    if not re.fullmatch("[a-z0-9_]+", part.encoder_id):
        raise InvalidInputError(f"{part.encoder_id!r} is no encoder_id")
    return embedding_table(part.kind, part.encoder_id)


def _alias(letter: str, number: int) -> str:
    """An alias; the first needs no number."""
    return letter if number == 1 else f"{letter}{number}"
