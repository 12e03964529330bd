"""The SQL of a training view: it joins keys and numbers; the vectors are read afterwards."""

from __future__ import annotations

import re

from featurestore.errors import InvalidInputError
from featurestore.property_rules import values_sql
from featurestore.query.conditions import as_condition, as_expression, with_properties
from featurestore.quoting import SQL, column, identifier, literal, quoted
from featurestore.tables.schemas import embedding_table
from featurestore.views.features import PropertyFeature, SqlFeature, VectorFeature
from featurestore.views.parameters import ViewParameters

_NO_TEXT = [
    SQL("NULL::VARCHAR AS text_id"),
    SQL("NULL::INTEGER AS n_tokens"),
    SQL("NULL::BOOLEAN AS truncated"),
]


def view_sql(parameters: ViewParameters) -> SQL:
    """The query for the rows of a view, without its vectors; its columns are `rows_sql`'s."""
    return rows_sql(parameters, targets_sql(parameters), where_sql(parameters))


def rows_sql(parameters: ViewParameters, among: SQL, where: SQL) -> SQL:
    """The query for rows with a view's columns of the materials ``among`` for which a thing holds.

    ``among`` has the columns material_id, structure_id, fold and target.

    Its columns are material_id, structure_id, text_id, fold, target, n_tokens and truncated, the
    last two and text_id of the first text; of further texts the same with ``_2`` and so on; and one
    for each feature that is a number, by its string.
    """
    texts = parameters.texts
    structures = [part for part in parameters.vectors if part.kind == "structure"]
    numbers = [part for part in parameters.parts if not isinstance(part, VectorFeature)]
    of_texts = [_text_values(number) for number in range(1, len(texts) + 1)]
    first = of_texts[0] if texts else _NO_TEXT
    columns = [
        *(SQL("t.material_id"), SQL("t.structure_id"), first[0]),
        *(SQL("t.fold"), SQL("t.target"), *first[1:]),
        *(value for values in of_texts[1:] for value in values),
        *(SQL(f"n{literal(i)}.{identifier(str(part))}") for i, part in enumerate(numbers, 1)),
    ]
    lines = [
        SQL(f"SELECT {', '.join(columns)}"),
        SQL(f"FROM {among} t"),
    ]
    for number, part in enumerate(texts, 1):
        lines += _text_joins(part, number)
    lines += [_structure_join(part, number) for number, part in enumerate(structures, 1)]
    lines += [_number_join(part, number) for number, part in enumerate(numbers, 1)]
    if where != "true":
        lines.append(SQL(f"WHERE {where}"))
    return SQL("\n".join([*lines, "ORDER BY t.material_id"]))


def targets_sql(parameters: ViewParameters) -> SQL:
    """The materials with a target and a fold, as a table function."""
    p = parameters
    split = literal(p.split)
    return SQL(
        f"targets({quoted(p.property)}, split := {split}, "
        f"property_source := {quoted(p.property_source)})"
    )


def where_sql(parameters: ViewParameters) -> SQL:
    """The condition that narrows the view, over its rows ``t``; ``true`` where there is none."""
    if parameters.where is None:
        return SQL("true")
    sources, named = dict(parameters.where_sources), parameters.where_classes
    among = with_properties(sources, of_classes=named)
    return SQL(
        f"t.material_id IN (SELECT material_id FROM {among} WHERE {as_condition(parameters.where)})"
    )


def texts_sql(part: VectorFeature) -> SQL:
    """The texts that a feature reads, as a table function."""
    assert part.generator_id is not None
    return SQL(f"texts({quoted(part.generator_id)}, variant := {quoted(part.variant)})")


def text_columns(number: int) -> tuple[SQL, SQL, SQL]:
    """The columns text_id, n_tokens and truncated of the text of that number, from 1."""
    after = SQL("" if number == 1 else f"_{literal(number)}")
    return SQL(f"text_id{after}"), SQL(f"n_tokens{after}"), SQL(f"truncated{after}")


def _text_values(number: int) -> list[SQL]:
    """The columns of a text as they are selected."""
    e = _alias(SQL("e"), number)
    tables = (_alias(SQL("x"), number), e, e)
    values = []
    for table, name, called in zip(tables, text_columns(1), text_columns(number), strict=True):
        value = SQL(f"{table}.{name}")
        values.append(value if called == name else SQL(f"{value} AS {called}"))
    return values


def _text_joins(part: VectorFeature, number: int) -> list[SQL]:
    x, e = _alias(SQL("x"), number), _alias(SQL("e"), number)
    return [
        SQL(f"JOIN {texts_sql(part)} {x} ON {x}.structure_id = t.structure_id"),
        SQL(f"JOIN {_table(part)} {e} ON {e}.text_id = {x}.text_id"),
    ]


def _structure_join(part: VectorFeature, number: int) -> SQL:
    s = _alias(SQL("s"), number)
    return SQL(f"JOIN {_table(part)} {s} ON {s}.structure_id = t.structure_id")


def _number_join(part: SqlFeature | PropertyFeature, number: int) -> SQL:
    if isinstance(part, SqlFeature):
        value = SQL(f"{as_expression(part.expression)}::DOUBLE AS {identifier(str(part))}")
        values = SQL(f"SELECT material_id, {value} FROM materials")
    else:
        assert part.source is not None
        values = values_sql(part.name, part.source, called=str(part))
    n = SQL(f"n{literal(number)}")
    return SQL(f"JOIN ({values}) {n} ON {n}.material_id = t.material_id")


def _table(part: VectorFeature) -> SQL:
    """The table of a feature's vectors; parameters may come from a row that a stranger wrote."""
    if not re.fullmatch("[a-z0-9_]+", part.encoder_id):
        raise InvalidInputError(f"{part.encoder_id!r} is no encoder_id")
    return column(embedding_table(part.kind, part.encoder_id))


def _alias(letter: SQL, number: int) -> SQL:
    """An alias; the first needs no number."""
    return letter if number == 1 else SQL(f"{letter}{literal(number)}")
