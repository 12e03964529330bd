"""The figure of tag removals: the paper's heatmap, and beside it the intervals and the controls.

A row of panels for each text source. Both panels share their rows, the tags; the columns of the
heatmap are the models, which the panel of intervals has as colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from explain.erasing.effects_table import Measure, StoredEffects
from explain.erasing.outputs import output_unit
from train.display.drawing import COLOURS, GREY, along_x, write_png
from train.display.labels import distinctions, printed_unit

_CELL_INCHES = (1.25, 0.6)
_COLOUR_MAP = "PuOr_r"
_FULL_TEXT = "(full text)"


def write_tag_heatmap(results: Sequence[StoredEffects], path: Path) -> None:
    """Write a PNG: the MAE after the erasure of each tag, and its change with a 95 % interval.

    The heatmap has the form of Fig. 5 of Li et al., Digital Discovery 2025, 4, 376: colour is the
    relative change. In the second panel a grey diamond is the control: as many random sentences
    erased; a filled dot a change that stays significant after Holm's correction (p < 0.05).

    Parameters
    ----------
    results : sequence of StoredEffects
        Those of one text source make up a row of panels.
    path : Path
        The file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    ordered = sorted(results, key=_panel)
    panels = [list(group) for _, group in groupby(ordered, key=_panel)]
    shown = [_tags(columns) for columns in panels]
    changes = [_relative(result, tag) for result in results for tag in _tags([result])]
    limit = max([1.0, *(abs(value) for value in changes if np.isfinite(value))])
    widest = max(len(columns) for columns in panels)
    heights = [len(tags) + 1 for tags in shown]
    figure = Figure(
        figsize=(
            _CELL_INCHES[0] * widest + 6.8,
            _CELL_INCHES[1] * sum(heights) + 1.1 * len(panels) + 0.5,
        ),
        dpi=150,
        layout="constrained",
    )
    grid = figure.subplots(
        len(panels),
        2,
        squeeze=False,
        height_ratios=heights,
        width_ratios=[_CELL_INCHES[0] * widest + 0.4, 3.4],
    )
    images = []
    for (left, right), columns, tags in zip(grid, panels, shown, strict=True):
        images.append(_draw_heatmap(left, columns, tags, limit))
        left.set_title(columns[0].text, fontsize=10, pad=8)
        _draw_intervals(right, columns, tags)
    bar = figure.colorbar(images[0], ax=list(grid[:, 1]), shrink=0.7, pad=0.03, aspect=30)
    bar.set_label("change of the MAE (%)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    what = {"deletion": "deleted", "mask": "masked"}[results[0].parameters["erasure"]]
    figure.suptitle(
        f"Sentences {what}, {results[0].parameters['fold']} fold",
        fontsize=10,
    )
    write_png(figure, path, (model for result in results for model in result.models))


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


def _draw_heatmap(
    axes: Any, columns: Sequence[StoredEffects], tags: Sequence[str], limit: float
) -> Any:
    values: npt.NDArray[np.float64] = np.array(
        [
            [0.0 if _mae(column) else np.nan for column in columns],
            *([_relative(column, tag) for column in columns] for tag in tags),
        ]
    )
    image = axes.imshow(values, cmap=_COLOUR_MAP, vmin=-limit, vmax=limit, aspect="auto")
    for x, column in enumerate(columns):
        whole = _mae(column)
        for y, tag in enumerate(["", *tags]):
            found = column.find("comprehensiveness", tag)
            if tag and found is None:
                continue
            change = values[y, x]
            text = _three_digits(whole + (found.value if found else 0.0))
            text += f"\n{_percent(change)}" if y and np.isfinite(change) else ""
            colour = "white" if abs(change) > 0.65 * limit else "black"
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
                sure = found.p_holm is not None and found.p_holm < 0.05
                face = colour if sure else "white"
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
    axes.set_xlabel("change of the MAE (%), 95 % interval; filled: p < 0.05 after Holm", fontsize=8)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right", frameon=False, fontsize=7, borderaxespad=0.0)


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
        lines = [p.property] + ([f"({printed_unit(unit)})"] if unit != "1" else []) + words
        if len(column.models) > 1:
            lines.append(f"mean of {len(column.models)} seeds")
        labels.append("\n".join(lines))
    return labels


def _percent(change: float) -> str:
    return f"{change:+z.{1 if abs(change) < 10 else 0}f} %".replace("-", "−")


def _three_digits(mae: float) -> str:
    return f"{mae:#.3g}".rstrip(".")
