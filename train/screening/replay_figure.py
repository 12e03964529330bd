"""A chart of replayed campaigns: how many of the best are found after how many picks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from train.display.drawing import COLOURS, GREY, write_png
from train.display.labels import printed_in_brackets
from train.screening.names import RANDOM
from train.screening.replay import Replay


def write_replay_figure(replay: Replay, path: Path) -> None:
    """Write a PNG: for each rule the mean over starts, the starts as thin lines.

    To the left how many of the best are found, to the right the best target known so far.

    Parameters
    ----------
    replay : Replay
        The campaigns.
    path : Path
        The file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = iter(COLOURS)
    for rule in replay.rules:
        colour = GREY if rule == RANDOM else next(colours)
        best = np.stack([one.best for one in replay.campaigns if one.rule == rule])
        _draw(left, replay.found(rule), colour, rule)
        _draw(right, best, colour, rule)
    s = replay.plan
    chance = np.arange(s.picks + 1) * s.top / (replay.n - s.known)
    left.plot(chance, color=GREY, linewidth=1, linestyle="--", label="by chance")
    left.set_ylabel(f"of the {s.top} best found", fontsize=8)
    right.set_ylabel(f"best {replay.target} known{printed_in_brackets(replay.unit)}", fontsize=8)
    for axes in (left, right):
        axes.set_xlabel(f"picks after {s.known} known, {s.batch} at once", fontsize=8)
        axes.tick_params(labelsize=8, color=GREY)
        axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlim(0, s.picks)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
    left.set_ylim(bottom=0)
    legend: dict[str, Any] = {"frameon": False, "fontsize": 8, "ncols": 4}
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", **legend)
    write_png(figure, path, ())


def _draw(axes: Any, values: Any, colour: str, label: str) -> None:
    for one in values:
        axes.step(range(len(one)), one, where="post", color=colour, linewidth=0.5, alpha=0.35)
    axes.plot(values.mean(axis=0), color=colour, linewidth=2, label=label)
