"""A page of the materials that fulfil a condition, in an order; and how many these are."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import InvalidInputError
from featurestore.query.conditions import materials_where, select_materials
from featurestore.quoting import SQL, identifier, literal
from featurestore.session import Session

#: The materials whose ids are given: what costs per row is not computed for all others.
THESE = SQL("SELECT * FROM materials WHERE list_contains(?, material_id)")


def count_materials(
    session: Session, where: str | None, *, property_source: str | None = None
) -> int:
    """How many materials fulfil a condition; raises as `materials_where`."""
    counted = SQL("count(*) AS n")
    found = select_materials(session, counted, where, property_source=property_source)
    return int(found["n"][0].as_py())


def materials_page(
    session: Session,
    where: str | None,
    columns: Sequence[str],
    *,
    sort: str = "material_id",
    descending: bool = False,
    first: int = 0,
    most: int = 50,
    property_source: str | None = None,
) -> pa.Table:
    """Some of the materials that fulfil a condition, in order of a column.

    Parameters
    ----------
    session : Session
        Where to look.
    where : str or None
        As for `materials_where`.
    columns : sequence of str
        What to return, columns of ``materials`` or names of properties.
    sort : str
        The column of the order, likewise; materials that lack it come last, equal ones by id.
    descending : bool
        Whether the largest come first.
    first, most : int
        How many are passed over, and how many are wanted.
    property_source : str, optional
        Source of the values of properties that come from several.

    Raises
    ------
    InvalidInputError, UnknownNameError, QueryError
        As `materials_where`, and for a negative ``first`` or ``most``.
    """
    if first < 0 or most < 0:
        raise InvalidInputError(f"a page has rows from 0 on, not {most} from {first}")
    direction = "DESC" if descending else "ASC"
    order = f"ORDER BY {identifier(sort)} {direction} NULLS LAST, material_id"
    keys = select_materials(
        session,
        SQL("material_id"),
        where,
        naming=[sort],
        then=SQL(f"{order} LIMIT {literal(most)} OFFSET {literal(first)}"),
        property_source=property_source,
    )
    ids = keys["material_id"].to_pylist()
    return rows_of_materials(session, ids, columns, property_source=property_source)


def rows_of_materials(
    session: Session,
    material_ids: Sequence[str],
    columns: Sequence[str],
    *,
    property_source: str | None = None,
) -> pa.Table:
    """Columns of these materials, in the order of the ids; raises as `materials_where`."""
    names = list(dict.fromkeys(["material_id", *columns]))
    rows = materials_where(
        session,
        None,
        names,
        among=THESE,
        parameters=[list(material_ids)],
        property_source=property_source,
    )
    wanted = pa.array(list(material_ids), pa.string())
    places = pc.index_in(wanted, rows["material_id"].combine_chunks())
    return rows.take(places.drop_null()).select(list(dict.fromkeys(columns)))
