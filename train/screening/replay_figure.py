"""A chart of replayed campaigns: how many of the best are found after how many picks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import property_axis, property_title
from featurestore.output.style import COLOURS, GREY, new_figure, styled, whole_numbers
from train.screening.campaigns import Replay
from train.screening.names import RANDOM


def write_replay_figure(replay: Replay, path: Path) -> None:
    """Write what `replay_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    write_figure(replay_figure(replay), path)


@styled
def replay_figure(replay: Replay) -> Figure:
    """For each rule the mean over starts, the starts as thin lines.

    To the left how many of the best are found, to the right the best target known so far. Of
    classes the left one alone.

    Parameters
    ----------
    replay : Replay
        The campaigns.
    """
    s = replay.plan
    figure = new_figure(4.6 if s.classes else 8.4, 3.6)
    panels = figure.subplots(1, 1 if s.classes else 2, squeeze=False)[0]
    left = panels[0]
    colours = iter(COLOURS)
    for rule in replay.rules:
        colour = GREY if rule == RANDOM else next(colours)
        _draw(left, replay.found(rule), colour, rule)
        for axes in panels[1:]:
            of_rule = [one.best for one in replay.campaigns if one.rule == rule]
            best = np.stack([one for one in of_rule if one is not None])
            _draw(axes, best, colour, rule)
    chance = np.arange(s.picks + 1) * replay.by_chance / s.picks
    left.plot(chance, color=GREY, linewidth=1, linestyle="--", label="by chance")
    if s.classes:
        name = property_title(replay.target)
        left.set_ylabel(f"found of {name} = {' or '.join(s.classes)}")
    else:
        left.set_ylabel(f"of the {s.sought} best found")
    for axes in panels[1:]:
        axes.set_ylabel(f"best known {property_axis(replay.target, replay.unit)}")
    for axes in panels:
        axes.set_xlabel(f"picks after {s.known} known, {s.batch} at once")
        axes.grid(axis="y")
        axes.set_xlim(0, s.picks)
        whole_numbers(axes.xaxis)
    left.set_ylim(bottom=0)
    whole_numbers(left.yaxis)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw(axes: Any, values: Any, colour: str, label: str) -> None:
    for one in values:
        axes.step(range(len(one)), one, where="post", color=colour, linewidth=0.5, alpha=0.35)
    axes.plot(values.mean(axis=0), color=colour, linewidth=2, label=label)
