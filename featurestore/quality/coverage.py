"""Which materials lack a property, a text or a vector, and the command that fills each gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from featurestore.catalogue import encoders, generators
from featurestore.commands import Command, describing_command, encoding_command, shown
from featurestore.errors import UnknownNameError
from featurestore.query.conditions import as_condition
from featurestore.quoting import SQL, quoted
from featurestore.session import Session
from featurestore.session_tables import RETIRED

_SUMMARY = pa.schema(
    [
        *[pa.field(name, pa.string()) for name in ("kind", "name")],
        *[pa.field(name, pa.int64()) for name in ("have", "lack", "failed")],
        pa.field("percent", pa.float64()),
        pa.field("fill", pa.string()),
    ]
)
_MISSING = pa.schema(
    [(name, pa.string()) for name in ("kind", "name", "material_id", "formula", "failure")]
)

_TARGETS = ("featurestore", "ingest", "structures", "SOURCES", "--properties", "TARGETS.csv")


@dataclass(frozen=True)
class _Thing:
    """Something a material can have.

    Parameters
    ----------
    kind, name : str
        What it is, as in the table that is printed.
    having : str
        The SQL condition over ``materials`` for having it.
    failure : str
        The SQL expression for the message of a failed attempt; NULL if there was none.
    command : tuple of str
        What makes it; with a placeholder where only the user knows.
    called : tuple of str
        The ids and names by which it may be asked for.
    """

    kind: str
    name: str
    having: SQL
    failure: SQL
    command: Command
    called: tuple[str, ...]


def coverage(session: Session, where: str | None = None, only: Sequence[str] = ()) -> pa.Table:
    """How many materials have each property, text and vector, and what would fill the gaps.

    A text vector counts for the full text.

    Parameters
    ----------
    where : str, optional
        Only materials for which this SQL condition over ``materials`` holds.
    only : sequence of str
        Only these properties, generators and encoders, by id or name; retired ones only if named.

    Returns
    -------
    pyarrow.Table
        kind, name, have, lack, failed (of those that lack it, attempts on record), percent, fill:
        the command, or null where nothing is lacking.

    Raises
    ------
    InvalidInputError, QueryError
        If ``where`` is not a condition.
    UnknownNameError
        If a name in ``only`` is not in the store.
    """
    rows = []
    for thing in _things(session, only):
        [row] = session.read_only_query(
            f"SELECT count(*) FILTER (has) AS have, count(*) FILTER (NOT has) AS lack, "
            f"count(*) FILTER (NOT has AND failure IS NOT NULL) AS failed "
            f"FROM ({_judged(thing, where)})"
        ).to_pylist()
        total = row["have"] + row["lack"]
        row["percent"] = round(100 * row["have"] / total, 1) if total else None
        row["fill"] = _fill(thing, row, where)
        rows.append({"kind": thing.kind, "name": thing.name} | row)
    return pa.Table.from_pylist(rows, schema=_SUMMARY)


def missing(session: Session, where: str | None = None, only: Sequence[str] = ()) -> pa.Table:
    """The materials that lack something, one row for each thing lacked; raises as `coverage`.

    Returns
    -------
    pyarrow.Table
        kind, name, material_id, formula, failure: the message of a failed attempt, or null.
    """
    found = [
        session.read_only_query(
            f"SELECT ? AS kind, ? AS name, material_id, formula, failure "
            f"FROM ({_judged(thing, where)}) WHERE NOT has ORDER BY material_id",
            [thing.kind, thing.name],
        ).cast(_MISSING)
        for thing in _things(session, only)
    ]
    return pa.concat_tables([_MISSING.empty_table(), *found])


def _judged(thing: _Thing, where: str | None) -> SQL:
    chosen = SQL(f"WHERE {as_condition(where)}" if where is not None else "")
    return SQL(
        f"SELECT material_id, formula, {thing.having} AS has, {thing.failure} AS failure "
        f"FROM (SELECT * FROM materials {chosen}) m"
    )


def _fill(thing: _Thing, row: dict[str, Any], where: str | None) -> str | None:
    if not row["lack"]:
        return None
    command = thing.command
    if where is not None and thing.kind != "property":
        command += ("--where", where)
    return shown(command) + (" --retry-failures" if row["failed"] == row["lack"] else "")


def _things(session: Session, only: Sequence[str]) -> list[_Thing]:
    found = list(_all_things(session))
    for name in only:
        known = {called for thing in found for called in thing.called}
        if name not in known:
            raise UnknownNameError("property, generator or encoder", name, known)
    if only:
        return [thing for thing in found if set(only) & set(thing.called)]
    retired = {one for one, standing in session.standings().items() if standing == RETIRED}
    return [thing for thing in found if not retired & set(thing.called)]


def _all_things(session: Session) -> Iterator[_Thing]:
    names = session.query("SELECT DISTINCT property FROM properties ORDER BY property")
    for name in names["property"].to_pylist():
        yield _Thing(
            kind="property",
            name=name,
            having=SQL(
                "material_id IN (SELECT material_id FROM properties "
                f"WHERE property = {quoted(name)})"
            ),
            failure=SQL(
                "(SELECT min(message) FROM failures f WHERE f.stage = 'targets' "
                f"AND f.item = m.material_id || ' ' || {quoted(name)})"
            ),
            command=_TARGETS,
            called=(name,),
        )
    texts = generators(session)
    for text in texts:
        yield _Thing(
            kind="text",
            name=text.generator_id,
            having=SQL(
                "structure_id IN (SELECT structure_id FROM sentences "
                f"WHERE generator_id = {quoted(text.generator_id)})"
            ),
            failure=_failed("text", text.generator_id, SQL("m.structure_id")),
            command=describing_command(session, text),
            called=(text.generator_id, text.source),
        )
    for encoder in encoders(session):
        own = quoted(encoder.encoder_id)
        if encoder.kind == "structure":
            yield _Thing(
                kind="structure embedding",
                name=encoder.encoder_id,
                having=SQL(
                    "structure_id IN (SELECT structure_id FROM structure_embedding_keys "
                    f"WHERE encoder_id = {own})"
                ),
                failure=_failed("embeddings", encoder.encoder_id, SQL("m.structure_id")),
                command=encoding_command(session, encoder),
                called=(encoder.encoder_id, encoder.name),
            )
            continue
        for text in texts:
            full = SQL(
                f"SELECT text_id FROM full_texts WHERE generator_id = {quoted(text.generator_id)}"
            )
            yield _Thing(
                kind="text embedding",
                name=f"{encoder.encoder_id} of {text.generator_id}",
                having=SQL(
                    "structure_id IN (SELECT structure_id FROM full_texts "
                    f"JOIN text_embedding_keys USING (text_id) WHERE encoder_id = {own} "
                    f"AND generator_id = {quoted(text.generator_id)})"
                ),
                failure=_failed(
                    "embeddings",
                    encoder.encoder_id,
                    SQL(f"({full} AND structure_id = m.structure_id)"),
                ),
                command=encoding_command(session, encoder, text.source),
                called=(encoder.encoder_id, encoder.name, text.generator_id, text.source),
            )


def _failed(stage: str, context: str, item: SQL) -> SQL:
    return SQL(
        f"(SELECT min(message) FROM failures f WHERE f.stage = {quoted(stage)} "
        f"AND f.context = {quoted(context)} AND f.item = {item})"
    )
