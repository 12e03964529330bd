"""Square panels side by side, one for each row of a report, with titles that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from train.analysis.ablation import AblationRow
from train.display.drawing import GREY
from train.display.labels import distinctions, features_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS_A_ROW = 5
_PANEL_INCHES = 2.7


def panel_grid(titles: Sequence[str]) -> tuple[Figure, list[Any], int]:
    """A figure, the axes of a panel for each title, and how many stand in a row."""
    from matplotlib.figure import Figure

    title_inches = 0.2 * (max(title.count("\n") for title in titles) + 2)
    down = -(-len(titles) // _PANELS_A_ROW)
    across = -(-len(titles) // down)
    figure = Figure(
        figsize=(_PANEL_INCHES * across + 0.5, (_PANEL_INCHES + title_inches + 0.3) * down),
        dpi=150,
        layout="constrained",
    )
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in grid[len(titles) :]:
        axes.remove()
    return figure, grid[: len(titles)], across


def panel_axes(axes: Any, limits: tuple[float, float]) -> None:
    """Both axes alike, from one limit to the other, and in grey."""
    axes.set(xlim=limits, ylim=limits)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=8, color=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)


def panel_titles(rows: Sequence[AblationRow]) -> list[str]:
    """The features of each panel, with what else tells two panels of the same features apart."""
    models = [row.first for row in rows]
    labels = [features_label(model) for model in models]
    return [
        "\n".join(fill(line, 36) for line in (label, *differing))
        for label, differing in zip(labels, distinctions(models, labels), strict=True)
    ]
