"""The materials on which effects are given: all, those with untruncated texts, and groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from featurestore.session import Session
from train.analysis.groups import group_names

ALL = "all"
NOT_TRUNCATED = "not truncated"

_ELEMENT = "element"


def material_subsets(
    session: Session,
    material_ids: Sequence[str],
    truncated: npt.NDArray[np.bool_],
    by: str | None,
    at_least: int,
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which materials are in each subset.

    Parameters
    ----------
    session : Session
        Where ``materials`` is.
    material_ids : sequence of str
        The n materials.
    truncated : ndarray, shape (n,), bool
        Whether the encoder has cut their texts.
    by : str or None
        SQL expression over ``materials``, one group for each of its values; ``element`` for one
        group for each element, of the materials that have it.
    at_least : int
        Groups with fewer materials are put together; for ``element``, whose groups overlap, they
        are left out.

    Returns
    -------
    dict of str to ndarray, shape (n,), bool
        "all" first, "not truncated" where that is something else, then the groups, the largest
        first, as "crystal_system = cubic".

    Raises
    ------
    QueryError, InvalidInputError
        If the expression cannot be evaluated.
    """
    found = {ALL: np.ones(len(material_ids), dtype=bool)}
    if truncated.any():
        found[NOT_TRUNCATED] = ~truncated
    if by is None:
        return found
    members = (
        _elements(session, material_ids, at_least)
        if by == _ELEMENT
        else _values(session, material_ids, by, at_least)
    )
    for name in sorted(members, key=lambda name: (-int(members[name].sum()), name)):
        found[f"{by} = {name}"] = members[name]
    return found


def _values(
    session: Session, material_ids: Sequence[str], by: str, at_least: int
) -> dict[str, npt.NDArray[np.bool_]]:
    names = np.array(group_names(session, material_ids, by, at_least))
    return {str(name): names == name for name in np.unique(names)}


def _elements(
    session: Session, material_ids: Sequence[str], at_least: int
) -> dict[str, npt.NDArray[np.bool_]]:
    rows = session.query(
        "SELECT material_id, list_distinct(species) AS elements FROM materials "
        "WHERE list_contains(?, material_id)",
        [list(material_ids)],
    ).to_pylist()
    of = {row["material_id"]: set(row["elements"]) for row in rows}
    members = {
        element: np.array([element in of[material_id] for material_id in material_ids])
        for element in set.union(*of.values())
    }
    return {element: member for element, member in members.items() if member.sum() >= at_least}
