"""The benchmark as a dot-and-interval chart: a panel a property, a line for each feature set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from featurestore.errors import MissingDataError
from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import printed_in_brackets, property_title
from featurestore.output.style import COLOURS, GREY, along_x, new_figure, styled
from train.benchmark.output import features_name, published_beside
from train.benchmark.published import Published
from train.benchmark.rows import BenchmarkRow
from train.display.labels import predictor_label

_COLOURS = (*COLOURS, "#000000")
_PANELS_A_ROW = 2


def write_benchmark_figure(
    rows: Sequence[BenchmarkRow], path: Path, published: Sequence[Published] = ()
) -> None:
    """Write what `benchmark_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    MissingDataError
        If no row has test materials.
    StorageError
        If the file cannot be written.
    """
    write_figure(benchmark_figure(rows, published), path)


@styled
def benchmark_figure(rows: Sequence[BenchmarkRow], published: Sequence[Published] = ()) -> Figure:
    """The test error of each row with its 95 % interval, a colour for each predictor.

    Small dots are the seeds; open diamonds the published errors.

    Parameters
    ----------
    rows : sequence of BenchmarkRow
        Rows of a property stand together; one without test materials is left out.
    published : sequence of Published
        Drawn on the line with the same features.

    Raises
    ------
    MissingDataError
        If no row has test materials.
    """
    drawn = [row for row in rows if row.errors.size]
    panels = [list(group) for _, group in groupby(drawn, lambda row: row.cell.request.property)]
    if not panels:
        raise MissingDataError("there is nothing to draw: no model has predictions of a test fold")
    predictors = list(dict.fromkeys(predictor_label(row.models.first) for row in drawn))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(predictors)}
    across = min(_PANELS_A_ROW, len(panels))
    down = -(-len(panels) // across)
    lines = max(len(_lines(panel)) for panel in panels)
    models = [model.model_id for row in drawn for model in row.models]
    figure = new_figure(5.2 * across, down * (0.9 + 0.34 * max(lines, 3)) + 0.5, models)
    grid = figure.subplots(down, across, squeeze=False).flat
    for axes, panel in zip(grid, panels, strict=False):
        _draw(axes, panel, colours, published)
    for axes in list(grid)[len(panels) :]:
        axes.remove()
    handles = _legend(colours, drawn, published)
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _line(row: BenchmarkRow) -> str:
    name = features_name(row)
    if row.features == "none":
        return "none"
    if row.cell.request.feature_set is not None:
        return name
    p = row.models.parameters
    # The name without the fingerprint's ten digits.
    encoders = [str(e).rsplit("_", 1)[0] for e in (p.structure_encoder, p.text_encoder) if e]
    return f"{name}\n{', '.join(encoders)}"


def _lines(panel: Sequence[BenchmarkRow]) -> list[str]:
    return list(dict.fromkeys(_line(row) for row in panel))


def _draw(
    axes: Any,
    panel: Sequence[BenchmarkRow],
    colours: dict[str, str],
    published: Sequence[Published],
) -> None:
    lines = _lines(panel)
    of_line: dict[str, list[BenchmarkRow]] = {line: [] for line in lines}
    for row in panel:
        of_line[_line(row)].append(row)
    for position, line in enumerate(lines):
        rows = of_line[line]
        for number, row in enumerate(rows):
            y = position + (number - (len(rows) - 1) / 2) * min(0.7 / len(rows), 0.28)
            colour = colours[predictor_label(row.models.first)]
            error = row.test_error
            axes.plot([error.low, error.high], [y, y], color=colour, linewidth=1.4, zorder=2)
            axes.plot(error.value, y, "o", color=colour, markersize=5, zorder=4)
            if len(row.models) > 1:
                seeds = list(row.seed_errors.values())
                axes.plot(
                    seeds,
                    [y] * len(seeds),
                    "o",
                    color="white",
                    mec=colour,
                    ms=2.6,
                    mew=0.7,
                    zorder=3,
                )
        for entry in published_beside(rows[0], published):
            axes.plot(
                entry.test_mae, position, "D", mfc="none", mec="black", ms=5, mew=0.9, zorder=3
            )
    first = panel[0]
    along_x(axes, axis=False)
    axes.set_yticks(range(len(lines)), lines, fontsize=7.5)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    task = first.models.first.task
    unit = printed_in_brackets(task.error_unit)
    axes.set_xlabel(f"test {task.error_name}{unit}")
    title = property_title(first.cell.request.property)
    axes.set_title(f"{title}, n = {first.fold_sizes['test']:,}", loc="left")


def _legend(
    colours: dict[str, str], rows: Sequence[BenchmarkRow], published: Sequence[Published]
) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", markersize=5, linewidth=1.4, color=colour, label=name)
        for name, colour in colours.items()
    ]
    if any(len(row.models) > 1 for row in rows):
        dot: dict[str, Any] = {"linestyle": "none", "mfc": "white", "mec": GREY}
        handles.append(Line2D([], [], marker="o", markersize=2.6, label="a seed", **dot))
    if any(published_beside(row, published) for row in rows):
        diamond: dict[str, Any] = {"linestyle": "none", "mfc": "none", "mec": "black"}
        handles.append(Line2D([], [], marker="D", markersize=5, label="published", **diamond))
    return handles
