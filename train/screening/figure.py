"""A chart of screening: the chosen candidates for each want, and all of them for the first two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import formula_text, property_axis
from featurestore.output.style import (
    COLOURS,
    GREY,
    SEQUENTIAL,
    along_x,
    figure_note,
    new_figure,
    robust_limits,
    styled,
)
from train.screening.candidates import Told
from train.screening.distribution import BEYOND
from train.screening.result import Screening
from train.screening.wants import Want

_MOST_LINES = 30
_PREDICTED, _KNOWN, _WINDOW = COLOURS[0], COLOURS[1], COLOURS[2]


def write_screening_figure(screening: Screening, path: Path) -> None:
    """Write what `screening_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    write_figure(screening_figure(screening), path)


@styled
def screening_figure(screening: Screening) -> Figure:
    """A line for each chosen candidate, a panel for each want.

    Dots are predictions with the middle 90 %, diamonds known values, windows are shaded, and the
    last of these panels shows the probabilities. With two wants or more a map of all candidates
    stands beside them, by the first two properties.

    Parameters
    ----------
    screening : Screening
        With at least one that is chosen; of more than 30 the first are drawn.
    """
    rows = list(screening.chosen[:_MOST_LINES])
    told = screening.told
    has_map = len(told) > 1
    widths = [2.6] * len(told) + [1.7] + ([3.9] if has_map else [])
    height = max(1.4 + 0.22 * len(rows), 3.6 if has_map else 2.0)
    models = [model.model_id for group in screening.models for model in group]
    figure = new_figure(sum(widths) + 1.6, height, models)
    panels = list(figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0])
    for number, one in enumerate(told):
        _draw_values(panels[number], one, rows)
    _draw_probabilities(panels[len(told)], screening, rows)
    formulas = [formula_text(screening.materials[row].formula) for row in rows]
    names = [f"{of}  {_short(screening, row)}" for of, row in zip(formulas, rows, strict=True)]
    for number, axes in enumerate(panels[: len(told) + 1]):
        axes.set_yticks(range(len(rows)), names if number == 0 else [""] * len(rows), fontsize=7.5)
        axes.set_ylim(len(rows) - 0.4, -0.6)
    if has_map:
        _draw_map(panels[-1], screening)
    figure.legend(handles=_legend(screening), loc="outside lower center", ncols=5)
    return figure


def _short(screening: Screening, row: int) -> str:
    name = screening.materials[row].material_id
    name = name if len(name) <= 18 else name[:17] + "…"
    return f"{name} (outside)" if screening.outside[row] else name


def _draw_values(axes: Any, told: Told, rows: Sequence[int]) -> None:
    values, known = told.outlook.values, told.is_known
    low, high = values.quantile(BEYOND), values.quantile(1 - BEYOND)
    if told.want.classes:
        low = high = values.centre
    for place, row in enumerate(rows):
        centre = values.centre[row]
        if known[row]:
            axes.plot(centre, place, "D", color=_KNOWN, markersize=4.5, zorder=3)
        else:
            axes.plot([low[row], high[row]], [place, place], color=_PREDICTED, linewidth=1.3)
            axes.plot(centre, place, "o", color=_PREDICTED, markersize=4.5, zorder=3)
    along_x(axes, axis=False)
    _shade(axes, told.want, axes.get_xlim(), along="x")
    if told.want.goal is not None:
        axes.axvline(told.outlook.best, color=GREY, linewidth=1, linestyle="--", zorder=1)
    axes.set_title(str(told.want), fontsize=8.5)
    axes.set_xlabel(_axis(told))


def _axis(told: Told) -> str:
    """What a column of values is: the property with its unit, or the probability of classes."""
    if told.want.classes:
        return f"P({told.want})"
    return property_axis(told.want.property, told.unit)


def _shade(axes: Any, want: Want, limits: tuple[float, float], along: str) -> None:
    """The window, as far as it is in sight, or an edge of it beside what is in sight."""
    if want.goal is not None or want.classes:
        return
    ends = [end for end in (want.low, want.high) if math.isfinite(end)]
    least, most = min(*limits, *ends), max(*limits, *ends)
    margin = 0.04 * (most - least)
    least = least - margin if want.low in ends and want.low <= limits[0] else least
    most = most + margin if want.high in ends and want.high >= limits[1] else most
    span, bound = (axes.axvspan, axes.set_xlim) if along == "x" else (axes.axhspan, axes.set_ylim)
    span(
        max(want.low, least), min(want.high, most), color=_WINDOW, alpha=0.15, linewidth=0, zorder=0
    )
    bound(least, most)


def _draw_probabilities(axes: Any, screening: Screening, rows: Sequence[int]) -> None:
    axes.barh(
        range(len(rows)),
        screening.joint[list(rows)],
        height=0.55,
        color=[GREY if screening.outside[row] else _PREDICTED for row in rows],
    )
    along_x(axes)
    axes.set_xlim(0, 1)
    axes.set_title("probability" if len(screening.told) == 1 else "joint probability", fontsize=8.5)
    axes.set_xlabel("of all that is wanted")


def _draw_map(axes: Any, screening: Screening) -> None:
    first, second = screening.told[:2]
    values = [np.asarray(one.outlook.values.centre) for one in (first, second)]
    ends = [robust_limits(of) for of in values]
    x, y = (np.clip(of, *limits) for of, limits in zip(values, ends, strict=True))
    axes.set(xlim=ends[0], ylim=ends[1])
    drawn = axes.scatter(
        x,
        y,
        c=screening.joint,
        s=float(np.clip(4000 / len(x), 5, 24)),
        cmap=SEQUENTIAL,
        vmin=0,
        linewidths=0,
        clip_on=False,
    )
    front, chosen = np.flatnonzero(screening.pareto), list(screening.chosen)
    ring: dict[str, Any] = {"facecolors": "none", "zorder": 3}
    axes.scatter(x[front], y[front], s=44, edgecolors=COLOURS[3], linewidths=0.9, **ring)
    axes.scatter(x[chosen], y[chosen], s=90, edgecolors="black", linewidths=0.9, **ring)
    _shade(axes, first.want, axes.get_xlim(), along="x")
    _shade(axes, second.want, axes.get_ylim(), along="y")
    if beyond := int(((x != values[0]) | (y != values[1])).sum()):
        figure_note(axes, f"{beyond:,} beyond the frame, at its rim")
    axes.set_xlabel(_axis(first))
    axes.set_ylabel(_axis(second))
    axes.set_title(f"all {len(x):,} candidates", fontsize=8.5)
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("joint probability", fontsize=7.5)


def _legend(screening: Screening) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    line: dict[str, Any] = {"linestyle": "none"}
    ring: dict[str, Any] = line | {"mfc": "none", "marker": "o"}
    handles: list[Any] = [
        Line2D([], [], color=_PREDICTED, marker="o", ms=4.5, lw=1.3, label="predicted, 90 %")
    ]
    rows = list(screening.chosen[:_MOST_LINES])
    if any(one.is_known[rows].any() for one in screening.told):
        handles.append(Line2D([], [], color=_KNOWN, marker="D", ms=4.5, label="known", **line))
    if any(one.want.goal is None for one in screening.told):
        handles.append(Patch(color=_WINDOW, alpha=0.15, label="window"))
    if any(one.want.goal is not None for one in screening.told):
        handles.append(Line2D([], [], color=GREY, lw=1, ls="--", label="best known"))
    if len(screening.told) > 1:
        handles.append(Line2D([], [], mec=COLOURS[3], ms=5, label="Pareto front", **ring))
        handles.append(Line2D([], [], mec="black", ms=7, label="chosen", **ring))
    return handles
