"""Which materials a stage works on: all, or those of a property, a fold, an SQL condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featurestore.catalogue import check_split, stored_properties
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.query.conditions import materials_where
from featurestore.quoting import SQL
from featurestore.session import Session


@dataclass(frozen=True)
class Selection:
    """A choice of materials; the default is all of them.

    Parameters
    ----------
    properties : tuple of str
        Only materials that have a target for one of these.
    split, fold : str or None
        Only materials in this fold of this split, for the one property named.
    where : str or None
        An SQL expression over the columns of ``materials`` and the names of properties.
    materials : tuple of str
        Only these.
    """

    properties: tuple[str, ...] = ()
    split: str | None = None
    fold: str | None = None
    where: str | None = None
    materials: tuple[str, ...] = ()

    def structure_ids(self, session: Session) -> list[str]:
        """The distinct structures of the chosen materials, in order of their id.

        An id is a hash: the order has nothing to do with size, so that the rate of a part of the
        work is that of the whole.

        Raises
        ------
        UnknownNameError
            If a property, split, material or name in the condition is not in the store.
        InvalidInputError
            If a split is named without exactly one property, a fold without a split, or the
            condition is more than one.
        QueryError
            If DuckDB cannot run the condition.
        """
        conditions = [SQL("true")]
        parameters: list[Any] = []
        for name in self.properties:
            stored_properties(session, name)
        if self.properties:
            conditions.append(
                SQL(
                    "material_id IN (SELECT material_id FROM properties "
                    "WHERE list_contains(?, property))"
                )
            )
            parameters.append(list(self.properties))
        if self.materials:
            known = session.query("SELECT material_id FROM materials")["material_id"].to_pylist()
            for material in sorted(set(self.materials) - set(known))[:1]:
                raise UnknownNameError("material", material, known)
            conditions.append(SQL("list_contains(?, material_id)"))
            parameters.append(list(self.materials))
        if self.fold is not None and self.split is None:
            raise InvalidInputError("a --fold is chosen together with the --split it is in")
        if self.split is not None:
            if len(self.properties) != 1:
                raise InvalidInputError("a split is chosen together with one --property")
            check_split(session, self.split, self.properties[0])
            conditions.append(
                SQL(
                    "material_id IN (SELECT material_id FROM folds(?, ?) "
                    "WHERE fold = coalesce(?, fold))"
                )
            )
            parameters += [self.properties[0], self.split, self.fold]
        rows = materials_where(
            session,
            self.where or None,
            ["structure_id"],
            among=SQL(f"SELECT * FROM materials WHERE {' AND '.join(conditions)}"),
            parameters=parameters,
        )
        return sorted(set(rows["structure_id"].to_pylist()))
