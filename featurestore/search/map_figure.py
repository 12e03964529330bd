"""The drawing of a map: one colour scale, or one colour for each of the largest groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import formula_text, property_axis
from featurestore.output.style import (
    GREY,
    MANY_COLOURS,
    SEQUENTIAL,
    figure_note,
    new_figure,
    robust_limits,
    styled,
)
from featurestore.search.map import SpaceMap

Floats = npt.NDArray[np.float64]


def draw_map(drawn: SpaceMap, path: Path) -> None:
    """Draw a map into a PNG, SVG or PDF file, which appears whole or not at all.

    Raises
    ------
    InvalidInputError, StorageError
        If the file's name ends in something else, or it cannot be written.
    """
    write_figure(map_figure(drawn), path)


@styled
def map_figure(drawn: SpaceMap) -> Figure:
    """A map as a figure.

    Materials far from all others do not squeeze these: they are drawn as triangles at the rim,
    where they would be, and counted.
    """
    figure = new_figure(7.5, 5.6)
    axes = figure.subplots()
    x, y = (drawn.points[name].to_numpy() for name in ("x", "y"))
    limits = [robust_limits(values) for values in (x, y)]
    at = [np.clip(values, *ends) for values, ends in zip((x, y), limits, strict=True)]
    beyond = (at[0] != x) | (at[1] != y)
    _scatter(figure, axes, drawn, at, beyond)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel=drawn.axes[0], ylabel=drawn.axes[1])
    encoder = drawn.encoder_id.rsplit("_", 1)[0]
    axes.set_title(f"{encoder}: {drawn.points.num_rows:,} materials", loc="left")
    if beyond.any():
        figure_note(axes, f"▲ {beyond.sum():,} beyond the frame, at its rim")
    return figure


def _scatter(
    figure: Any,
    axes: Any,
    drawn: SpaceMap,
    at: Sequence[Floats],
    beyond: npt.NDArray[np.bool_],
) -> None:
    size = float(np.clip(20_000 / len(beyond), 2, 30))
    label = property_axis(drawn.colour, drawn.unit or "1").replace("_", " ")
    column = drawn.points[drawn.colour]
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.to_numpy().astype(np.float64)
        # A few extremes would leave all others one colour.
        low, high = np.percentile(values, [1, 99])
        shades: dict[str, Any] = {"cmap": SEQUENTIAL, "vmin": low, "vmax": high}
        points = _points(
            axes, at, beyond, np.argsort(values, kind="stable"), values, size, **shades
        )
        extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[
            (int(values.min() < low), int(values.max() > high))
        ]
        bar = figure.colorbar(points, ax=axes, label=label, extend=extend)
        bar.outline.set_visible(False)
        bar.solids.set_alpha(1)
        return
    names = np.array([str(value) for value in column.to_pylist()])
    groups, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")[: len(MANY_COLOURS)]
    colour_of = dict(zip(groups[order].tolist(), MANY_COLOURS, strict=False))
    colours = np.array([colour_of.get(name, "#bfbfbf") for name in names])
    # In no order, so that no group lies on top of another.
    shuffled = np.random.default_rng(0).permutation(len(names))
    _points(axes, at, beyond, shuffled, colours, size)
    handle: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5}
    shown = formula_text if drawn.colour == "formula" else str
    for place, (name, colour) in zip(order, colour_of.items(), strict=True):
        axes.plot([], [], color=colour, label=f"{shown(name)} ({counts[place]:,})", **handle)
    if others := int(counts.sum() - counts[order].sum()):
        axes.plot([], [], color="#bfbfbf", label=f"others ({others:,})", **handle)
    figure.legend(loc="outside right upper", title=label, alignment="left")


def _points(
    axes: Any,
    at: Sequence[Floats],
    beyond: npt.NDArray[np.bool_],
    order: npt.NDArray[np.int64],
    colours: npt.NDArray[Any],
    size: float,
    **shades: Any,
) -> Any:
    """Dots, and triangles at the rim; what comes last in the order lies on top."""
    inside, rim = order[~beyond[order]], order[beyond[order]]
    x, y = at
    look: dict[str, Any] = {"linewidths": 0, "rasterized": len(x) > 2000, **shades}
    dots = axes.scatter(x[inside], y[inside], c=colours[inside], s=size, alpha=0.7, **look)
    if len(rim):
        look |= {"linewidths": 0.6, "edgecolors": GREY, "clip_on": False, "zorder": 3}
        axes.scatter(x[rim], y[rim], c=colours[rim], s=26, marker="^", **look)
    return dots
