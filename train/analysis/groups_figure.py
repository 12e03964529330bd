"""The chart of errors by group: dots with intervals, those of too few materials faded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurestore.output.figure import Figure
from featurestore.output.figures import write_figure
from featurestore.output.labels import printed_in_brackets, property_title
from featurestore.output.style import COLOURS, FAINT, along_x, new_figure, styled
from train.analysis.groups import BEST, LEAST, ModelGroups
from train.analysis.resampling import Estimate

_MARKERS = "os^v"


def write_groups_figure(found: Sequence[ModelGroups], by: str, path: Path) -> None:
    """Write what `groups_figure` draws to a PNG, SVG or PDF file.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    write_figure(groups_figure(found, by), path)


@styled
def groups_figure(found: Sequence[ModelGroups], by: str) -> Figure:
    """By group the MAE, and the share of the best predicted tenth, with intervals.

    A grey bar is the group's share of all test materials. Groups of fewer than ten materials have
    open marks and no intervals; where the best tenth itself has fewer than ten materials, its
    shares are not drawn at all.

    Parameters
    ----------
    found : sequence of ModelGroups
        Of one property, with the same groups.
    by : str
        What the groups are made by.
    """
    first = found[0].groups
    task, p = found[0].models.first.task, found[0].models.parameters
    best = math.ceil(BEST * sum(group.n for group in first))
    shares = best >= LEAST
    models = [model.model_id for row in found for model in row.models]
    height = 1.2 + len(first) * max(0.3, 0.13 * len(found)) + 0.22 * len(found)
    figure = new_figure(8 if shares else 5.5, height, models)
    left, *others = figure.subplots(1, 1 + shares, sharey=True, squeeze=False)[0]
    for number, model in enumerate(found):
        shift = (number - (len(found) - 1) / 2) * min(0.7 / len(found), 0.25)
        look: dict[str, Any] = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": _MARKERS[number // len(COLOURS) % len(_MARKERS)],
            "markersize": 4.5,
            "linewidth": 1.4,
        }
        for position, group in enumerate(model.groups):
            _dot(left, group.error, position + shift, group.n, look)
            for axes in others:
                _dot(axes, group.best_share, position + shift, group.n, look)
        left.plot([], [], label=model.label, **look)
    if any(group.n < LEAST for group in first):
        few: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 4.5}
        label = f"fewer than {LEAST} materials: no interval"
        left.plot([], [], color="#555555", markerfacecolor="white", label=label, **few)
    for axes in others:
        axes.barh(range(len(first)), [group.share for group in first], color=FAINT, height=0.8)
        axes.set_xlabel(f"share of the tenth predicted best ({best:,} materials)")
        left.barh([0], [0], color=FAINT, label="share of all test materials")
    left.set_yticks(range(len(first)), [f"{group.group} ({group.n:,})" for group in first])
    left.set_ylim(len(first) - 0.4, -0.6)
    left.set_ylabel(by.replace("_", " "))
    left.set_xlabel(f"test {task.error_name}{printed_in_brackets(task.error_unit)}")
    left.set_title(property_title(p.property), loc="left")
    for axes in (left, *others):
        axes.set_xlim(left=0)
        along_x(axes)
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def _dot(axes: Any, estimate: Estimate, y: float, n: int, look: dict[str, Any]) -> None:
    few = n < LEAST
    if not few:
        line = {"color": look["color"], "linewidth": look["linewidth"]}
        axes.plot([estimate.low, estimate.high], [y, y], **line)
    face = "white" if few else look["color"]
    axes.plot(estimate.value, y, markerfacecolor=face, **look)
