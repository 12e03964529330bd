"""The figure of tag removals: the paper's heatmap, and beside it the intervals and the controls.

A row of panels for each text source. Both panels share their rows, the tags; the columns of the
heatmap are the models, which the panel of intervals has as colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt

from explain.erasing.effects_table import Measure, StoredEffects
from explain.erasing.outputs import output_unit
from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import printed_unit, property_title
from featurestore.output.style import COLOURS, GREY, along_x, new_figure, styled
from train.display.labels import distinctions

_CELL_INCHES = (1.45, 0.6)
_COLOUR_MAP = "PuOr_r"
_FULL_TEXT = "(full text)"
#: The ends of the colours, in per cent: the same in every figure, so that two can be compared.
_LIMIT = 30.0
_SURE = 0.05


def write_tag_heatmap(results: Sequence[StoredEffects], path: Path) -> None:
    """Write what `tags_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    write_figure(tags_figure(results), path)


@styled
def tags_figure(results: Sequence[StoredEffects]) -> Figure:
    """The MAE after the erasure of each tag, and its change with a 95 % interval.

    The heatmap has the form of Fig. 5 of Li et al., Digital Discovery 2025, 4, 376: colour is the
    relative change, up to 30 % either way. Only changes that stay significant after Holm's
    correction (p < 0.05) are coloured. In the second panel a grey diamond is the control: as many
    random sentences erased; a filled dot is a significant change.

    Parameters
    ----------
    results : sequence of StoredEffects
        Those of one text source make up a row of panels.
    """
    ordered = sorted(results, key=_panel)
    panels = [list(group) for _, group in groupby(ordered, key=_panel)]
    shown = [_tags(columns) for columns in panels]
    widest = max(len(columns) for columns in panels)
    heights = [len(tags) + 1 for tags in shown]
    figure = new_figure(
        _CELL_INCHES[0] * widest + 6.8,
        _CELL_INCHES[1] * sum(heights) + 1.1 * len(panels) + 0.6,
        [model.model_id for result in results for model in result.models],
    )
    grid = figure.subplots(
        len(panels),
        2,
        squeeze=False,
        height_ratios=heights,
        width_ratios=[_CELL_INCHES[0] * widest + 0.4, 3.4],
    )
    for axes in grid[1:, 1]:
        axes.sharex(grid[0, 1])
    images = []
    for (left, right), columns, tags in zip(grid, panels, shown, strict=True):
        images.append(_draw_heatmap(left, columns, tags))
        left.set_title(columns[0].text, pad=8)
        _draw_intervals(right, columns, tags)
    bar = figure.colorbar(
        images[0], ax=list(grid[:, 1]), shrink=0.7, pad=0.03, aspect=30, extend="both"
    )
    bar.set_label("change of the MAE (%), where p < 0.05 after Holm")
    bar.outline.set_visible(False)
    what = {"deletion": "deleted", "mask": "masked"}[results[0].parameters["erasure"]]
    figure.suptitle(f"Sentences {what}, {results[0].parameters['fold']} fold", fontsize=10)
    return figure


def _panel(result: StoredEffects) -> tuple[str, tuple[str, ...]]:
    """Columns of one panel have one text source and the same tags."""
    return result.text, result.tags


def _tags(columns: Sequence[StoredEffects]) -> list[str]:
    """The tags that some text of the materials has."""
    return [
        tag
        for tag in columns[0].tags
        if any(result.find("comprehensiveness", tag) for result in columns)
    ]


def _mae(result: StoredEffects) -> float:
    found = result.find("mae")
    return found.value if found else np.nan


def _relative(result: StoredEffects, tag: str) -> float:
    """Change of the MAE in per cent; NaN where it is not known or the MAE with all is zero."""
    found, mae = result.find("comprehensiveness", tag), _mae(result)
    return 100 * found.value / mae if found and mae else np.nan


def _is_sure(found: Measure | None) -> bool:
    return found is not None and found.p_holm is not None and found.p_holm < _SURE


def _draw_heatmap(axes: Any, columns: Sequence[StoredEffects], tags: Sequence[str]) -> Any:
    values: npt.NDArray[np.float64] = np.array(
        [
            [0.0 if _mae(column) else np.nan for column in columns],
            *([_relative(column, tag) for column in columns] for tag in tags),
        ]
    )
    sure = np.array(
        [
            [False] * len(columns),
            *([_is_sure(column.find("comprehensiveness", tag)) for column in columns]
              for tag in tags),
        ]
    )  # fmt: skip
    coloured = np.where(sure | np.isnan(values), values, 0.0)
    image = axes.imshow(coloured, cmap=_COLOUR_MAP, vmin=-_LIMIT, vmax=_LIMIT, aspect="auto")
    for x, column in enumerate(columns):
        whole = _mae(column)
        for y, tag in enumerate(["", *tags]):
            found = column.find("comprehensiveness", tag)
            if tag and found is None:
                continue
            change = values[y, x]
            text = _three_digits(whole + (found.value if found else 0.0))
            if found is not None and np.isfinite(change):
                text += f"\n{_percent(change)}{_printed_p(found.p_holm)}"
            colour = "black" if sure[y, x] or not tag else "#666666"
            if sure[y, x] and abs(change) > 0.65 * _LIMIT:
                colour = "white"
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_yticks(range(len(tags) + 1), [_FULL_TEXT, *tags], fontsize=9)
    axes.set_xticks(range(len(columns)), _column_labels(columns), fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(tags) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    return image


def _draw_intervals(axes: Any, columns: Sequence[StoredEffects], tags: Sequence[str]) -> None:
    """Dots with 95 % intervals, and the control below each."""
    axes.axvline(0, color=GREY, linewidth=0.8)
    step = 0.8 / len(columns)
    labelled = False
    for number, column in enumerate(columns):
        colour = COLOURS[number % len(COLOURS)]
        mae = _mae(column)
        for y, tag in enumerate(tags, start=1):
            middle = y + (number - (len(columns) - 1) / 2) * step
            found = column.find("comprehensiveness", tag)
            control = column.find("control", tag)
            shift = 0.22 * step if control else 0.0
            if found and mae:
                face = colour if _is_sure(found) else "white"
                _draw_estimate(axes, found, mae, middle - shift, colour, "o", face)
            if control and mae:
                label = "" if labelled else "as many random sentences"
                labelled = True
                _draw_estimate(axes, control, mae, middle + shift, GREY, "D", GREY, label)
        if len(columns) > 1:
            axes.plot(
                [], [], "o-", color=colour, markersize=5, label=_column_label(columns, number)
            )
    axes.set_ylim(len(tags) + 0.5, -0.5)
    axes.set_yticks(range(1, len(tags) + 1), [_with_counts(columns, tag) for tag in tags])
    along_x(axes, axis=False)
    axes.set_xlabel("change of the MAE (%), 95 % interval; filled: p < 0.05 after Holm")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right", fontsize=7, borderaxespad=0.0)


def _draw_estimate(
    axes: Any,
    found: Measure,
    mae: float,
    y: float,
    colour: str,
    marker: str,
    face: str,
    label: str = "",
) -> None:
    value = 100 * found.value / mae
    if found.low is not None and found.high is not None:
        bounds = [100 * found.low / mae, 100 * found.high / mae]
        axes.plot(bounds, [y, y], color=colour, linewidth=1.4, zorder=2)
    axes.plot(
        value,
        y,
        marker,
        color=colour,
        markerfacecolor=face,
        markersize=5.5 if marker == "o" else 4,
        zorder=3,
        linestyle="none",
        label=label or None,
    )


def _with_counts(columns: Sequence[StoredEffects], tag: str) -> str:
    """The number of texts with the tag, where all columns agree on it."""
    found = {row.n for column in columns if (row := column.find("n_with_tag", tag))}
    return f"{found.pop()} texts" if len(found) == 1 else ""


def _column_label(columns: Sequence[StoredEffects], number: int) -> str:
    return _column_labels(columns)[number].replace("\n", " ")


def _column_labels(columns: Sequence[StoredEffects]) -> list[str]:
    """Property and unit, with what else tells two columns of the same property apart."""
    models = [column.models.first for column in columns]
    differing = distinctions(models, [model.parameters.property for model in models])
    labels = []
    for column, model, words in zip(columns, models, differing, strict=True):
        p = model.parameters
        unit = output_unit(model)
        lines = [fill(property_title(p.property), 22)]
        lines += ([f"({printed_unit(unit)})"] if unit != "1" else []) + words
        if len(column.models) > 1:
            lines.append(f"mean of {len(column.models)} seeds")
        mae = column.find("mae")
        lines += [f"n = {mae.n:,}"] if mae else []
        labels.append("\n".join(lines))
    return labels


def _percent(change: float) -> str:
    return f"{change:+z.{1 if abs(change) < 10 else 0}f} %".replace("-", "−")


def _printed_p(p: float | None) -> str:
    if p is None:
        return ""
    return ", p < 0.001" if p < 0.001 else f", p = {p:.2g}"


def _three_digits(mae: float) -> str:
    return f"{mae:#.3g}".rstrip(".")
