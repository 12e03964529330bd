"""A map of a space: its materials in two dimensions, coloured by a property or by symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.classes import classes_of
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.output.rows import atomic_path
from featurestore.query.conditions import materials_where
from featurestore.search.projection import check_method, project

if TYPE_CHECKING:
    from featurestore.store import FeatureStore

_CATEGORIES = 10
_FEWEST = 3


@dataclass(frozen=True)
class SpaceMap:
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


def draw_map(drawn: SpaceMap, path: Path) -> None:
    """Draw a map into a PNG file, which appears whole or not at all."""
    if path.suffix.lower() != ".png":
        raise InvalidInputError(f"a map is a PNG file: name one that ends in .png, not {path}")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 6), layout="constrained")
    try:
        _scatter(figure, axes, drawn)
        axes.set(
            xlabel=drawn.axes[0],
            ylabel=drawn.axes[1],
            title=f"{drawn.encoder_id}: {drawn.points.num_rows:,} materials",
        )
        axes.spines[["top", "right"]].set_visible(False)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=150, format="png")
    finally:
        plt.close(figure)


def _scatter(figure: Any, axes: Any, drawn: SpaceMap) -> None:
    x, y = (drawn.points[name].to_numpy() for name in ("x", "y"))
    column = drawn.points[drawn.colour]
    size = float(np.clip(20_000 / len(x), 2, 30))
    look = {"s": size, "linewidths": 0, "alpha": 0.7, "rasterized": True}
    label = drawn.colour.replace("_", " ") + (f" ({drawn.unit})" if drawn.unit else "")
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.to_numpy().astype(np.float64)
        # A few extremes would leave all others one colour.
        low, high = np.percentile(values, [1, 99])
        order = np.argsort(values, kind="stable")
        points = axes.scatter(
            x[order], y[order], c=values[order], cmap="viridis", vmin=low, vmax=high, **look
        )
        extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[
            (int(values.min() < low), int(values.max() > high))
        ]
        figure.colorbar(points, ax=axes, label=label, extend=extend)
        return
    names = np.array([str(value) for value in column.to_pylist()])
    counts = sorted(zip(*np.unique(names, return_counts=True), strict=True), key=lambda c: -c[1])
    shown = [str(name) for name, _ in counts[:_CATEGORIES]]
    palette = [f"C{number}" for number in range(_CATEGORIES)]
    others = ~np.isin(names, shown)
    if others.any():
        axes.scatter(x[others], y[others], color="0.75", label=f"others ({others.sum():,})", **look)
    for name, colour in zip(shown, palette, strict=False):
        chosen = names == name
        axes.scatter(x[chosen], y[chosen], color=colour, label=f"{name} ({chosen.sum():,})", **look)
    legend = figure.legend(
        loc="outside right upper", title=label, frameon=False, markerscale=(30 / size) ** 0.5
    )
    for handle in legend.legend_handles:
        handle.set_alpha(1)


def _unit(session: Any, colour: str) -> str:
    rows = session.query("SELECT min(unit) AS unit FROM properties WHERE property = ?", [colour])
    unit = rows["unit"][0].as_py() or ""
    return "" if classes_of(unit) else unit
