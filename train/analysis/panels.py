"""Square panels side by side, one for each row of a report, with titles that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from featurestore.output.figure import Figure
from featurestore.output.style import new_figure
from train.analysis.ablation import AblationRow
from train.display.labels import distinctions, features_label

_PANELS_A_ROW = 5
_PANEL_INCHES = 2.7


def panel_grid(titles: Sequence[str], models: Sequence[str]) -> tuple[Figure, list[Any], int]:
    """A figure, the axes of a panel for each title, and how many stand in a row."""
    title_inches = 0.2 * (max(title.count("\n") for title in titles) + 3)
    down = -(-len(titles) // _PANELS_A_ROW)
    across = -(-len(titles) // down)
    figure = new_figure(
        _PANEL_INCHES * across + 0.5, (_PANEL_INCHES + title_inches + 0.3) * down, models
    )
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in grid[len(titles) :]:
        axes.remove()
    return figure, grid[: len(titles)], across


def panel_axes(axes: Any, limits: tuple[float, float]) -> None:
    """Both axes alike, from one limit to the other."""
    axes.set(xlim=limits, ylim=limits)
    axes.set_aspect("equal")


def panel_titles(rows: Sequence[AblationRow]) -> list[str]:
    """The features of each panel, with what else tells two panels of the same features apart."""
    models = [row.first for row in rows]
    labels = [features_label(model) for model in models]
    return [
        "\n".join(fill(line, 36) for line in (label, *differing))
        for label, differing in zip(labels, distinctions(models, labels), strict=True)
    ]
