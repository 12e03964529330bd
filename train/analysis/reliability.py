"""The reliability plot: how often probabilities of classes come true, one panel for each model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurestore.errors import MissingDataError
from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import property_title
from featurestore.output.style import COLOURS, GREY, styled
from train.analysis.ablation import AblationRow
from train.analysis.panels import panel_axes, panel_grid, panel_titles


def write_reliability_plot(rows: Sequence[AblationRow], path: Path) -> None:
    """Write what `reliability_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    MissingDataError
        If no model has test predictions.
    StorageError
        If the file cannot be written.
    """
    write_figure(reliability_figure(rows), path)


@styled
def reliability_figure(rows: Sequence[AblationRow]) -> Figure:
    """A panel for each row that has test predictions.

    A dot is a bin of the most probable class's probability (Guo, Pleiss, Sun and Weinberger, ICML
    2017, 1321): its mean, against the share of its test materials whose class that is. Its size
    grows with their number. Of several seeds the lowest is shown, and the panel says so.

    Parameters
    ----------
    rows : sequence of AblationRow
        Of one property of classes and one split.

    Raises
    ------
    MissingDataError
        If no model has test predictions.
    """
    panels = [row for row in rows if row.first.metrics.get("calibration_bins")]
    if not panels:
        raise MissingDataError("there is nothing to draw: no model has predictions of a test fold")
    titles = panel_titles(panels)
    figure, grid, _ = panel_grid(titles, [row.first.model_id for row in panels])
    for axes, title, row in zip(grid, titles, panels, strict=True):
        _draw(axes, title, row)
    name = property_title(panels[0].first.parameters.property)
    figure.supxlabel(f"probability of the most probable class of {name}, test fold", fontsize=9)
    figure.supylabel("share for which it is true", fontsize=9)
    return figure


def _draw(axes: Any, title: str, row: AblationRow) -> None:
    metrics, test = row.first.metrics, row.first.metrics["folds"]["test"]
    bins, n = metrics["calibration_bins"], test["n"]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, zorder=1)
    axes.scatter(
        [one["confidence"] for one in bins],
        [one["accuracy"] for one in bins],
        s=[10 + 120 * one["n"] / n for one in bins],
        color=COLOURS[0],
        alpha=0.8,
        linewidths=0,
        clip_on=False,
        zorder=2,
    )
    panel_axes(axes, (0, 1.02))
    auc = "" if test["auc"] is None else f"AUC {test['auc']:.3f}, "
    said = f"{auc}Brier {test['brier']:.3f}, ECE {test['ece']:.3f}"
    seed = f", seed {row.first.seed}" if len(row.models) > 1 else ""
    axes.set_title(f"{title}\ntest {said}\nn = {n:,}{seed}", loc="left", fontsize=8.5)
