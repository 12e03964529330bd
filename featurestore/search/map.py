"""A map of a space: its materials in two dimensions, with a property or their symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.classes import classes_of
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.output.display import Showing, Shown, figure_html
from featurestore.query.conditions import materials_where
from featurestore.search.projection import check_method, project

if TYPE_CHECKING:
    from featurestore.output.figure import Figure
    from featurestore.store import FeatureStore

_FEWEST = 3


@dataclass(frozen=True, repr=False)
class SpaceMap(Shown):
    """Materials with two coordinates.

    Parameters
    ----------
    points : pyarrow.Table
        material_id, x, y (float64) and the column of the colour.
    colour, unit : str
        Name of that column, and its unit if it is a property.
    axes : tuple of str
        What the axes are.
    encoder_id : str
        Whose space.
    note : str
        What was left out; else empty.
    """

    points: pa.Table
    colour: str
    unit: str
    axes: tuple[str, str]
    encoder_id: str
    note: str

    def showing(self) -> Showing:
        """How many materials it has, and in a notebook the map."""
        title = f"Map of {self.encoder_id}: {self.points.num_rows:,} materials"
        facts = {"colour": self.colour, "axes": ", ".join(self.axes)}
        notes = (self.note.removeprefix("; "),) if self.note else ()
        return Showing(title, facts, notes=notes, picture=lambda: figure_html(self.figure(), title))

    def figure(self) -> Figure:
        """The drawing, see `featurestore.search.map_figure.map_figure`."""
        from featurestore.search.map_figure import map_figure

        return map_figure(self)


def space_map(
    store: FeatureStore,
    *,
    encoder: str | None = None,
    text_source: str | None = None,
    variant: str = "full",
    colour: str = "crystal_system",
    method: str = "pca",
    where: str | None = None,
    property_source: str | None = None,
    seed: int = 0,
) -> SpaceMap:
    """Project an encoder's vectors of materials onto two dimensions.

    For the methods see `project`.

    Raises
    ------
    InvalidInputError, UnknownNameError, MissingDataError, QueryError
        For names, methods and conditions that the store does not know, or too few materials.
    """
    check_method(method)
    search = store.search
    with store.session() as session:
        space, links = search.contents(session, encoder, text_source=text_source, variant=variant)
        facts = materials_where(
            session,
            where,
            list(dict.fromkeys(["material_id", "structure_id", colour])),
            property_source=property_source,
        ).sort_by("material_id")
        unit = _unit(session, colour)
    kind = facts[colour].type
    if pa.types.is_nested(kind):
        raise InvalidInputError(f"{colour!r} holds lists and gives no colour")
    ids = facts["structure_id"]
    if links is not None:
        place = pc.index_in(ids, links["structure_id"].combine_chunks()).combine_chunks()
        ids = links["text_id"].combine_chunks().take(place)
    place = pc.index_in(ids, space.ids)
    there = pc.and_(pc.is_valid(place), pc.is_valid(facts[colour]))
    shown = facts.filter(there)
    if shown.num_rows < _FEWEST:
        raise MissingDataError(
            f"{shown.num_rows} materials have a vector of {space.encoder.encoder_id} and a value "
            f"of {colour!r}; a map needs at least {_FEWEST}"
        )
    rows = place.filter(there).to_numpy()
    vectors = space.exact.vectors[rows]
    coordinates, axes = project(vectors, method, seed)
    left_out = facts.num_rows - shown.num_rows
    note = f"; {left_out:,} without a vector or a value are left out" if left_out else ""
    points = pa.table(
        {
            "material_id": shown["material_id"],
            "x": coordinates[:, 0],
            "y": coordinates[:, 1],
            **({} if colour == "material_id" else {colour: shown[colour]}),
        }
    )
    return SpaceMap(
        points=points,
        colour=colour,
        unit=unit,
        axes=axes,
        encoder_id=space.encoder.encoder_id,
        note=note,
    )


def _unit(session: Any, colour: str) -> str:
    rows = session.query("SELECT min(unit) AS unit FROM properties WHERE property = ?", [colour])
    unit = rows["unit"][0].as_py() or ""
    return "" if classes_of(unit) else unit
